//! The QEMU process, its serial ports, and the certainty that it ends.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{board::Board, error::EmulatorError};

pub const QEMU: &str = "qemu-system-arm";
/// The machine has to connect its ports within this time of being started.
const CONNECT: Duration = Duration::from_secs(20);
/// A board that takes nothing for this long is stuck.
pub const WRITE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(2);

/// Whether QEMU is installed and can be run.
pub fn check_qemu() -> Result<(), EmulatorError> {
    let mut version = Command::new(QEMU);
    version
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    version.status().map(|_| ()).map_err(cannot_run)
}

/// Why QEMU did not start.
pub fn cannot_run(source: io::Error) -> EmulatorError {
    match source.kind() {
        io::ErrorKind::NotFound => EmulatorError::QemuMissing { program: QEMU },
        _ => EmulatorError::Io {
            what: "cannot run",
            path: QEMU.into(),
            source,
        },
    }
}

/// One of the board's serial ports.
pub struct Port {
    stream: UnixStream,
    received: Receiver<Vec<u8>>,
}

impl Port {
    /// Sends all bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Bytes that have arrived, or arrive within `patience`; `None` when there are none, an error
    /// when the port is closed.
    pub fn receive(&mut self, patience: Duration) -> Result<Option<Vec<u8>>, Closed> {
        match self.received.recv_timeout(patience) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Closed),
        }
    }
}

/// The other end of a port is gone.
pub struct Closed;

/// A running machine. Dropping it kills QEMU.
pub struct Process {
    /// Ends QEMU should this process be killed; see [`watchdog`].
    watchdog: Child,
    qemu: Child,
    folder: PathBuf,
    /// First serial port: the sync link.
    pub link: Port,
    /// Second serial port: sensor rows in, traces out.
    pub sensor: Port,
}

impl Process {
    /// Starts the board's machine over the flash file.
    pub fn start(board: &Board, flash: &Path) -> Result<Self, EmulatorError> {
        let folder = scratch_folder()?;
        let listen = |name: &str| {
            let path = folder.join(name);
            UnixListener::bind(&path)
                .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
                .map_err(|source| EmulatorError::Io {
                    what: "cannot listen on",
                    path,
                    source,
                })
        };
        let listeners = [listen("link")?, listen("sensor")?];
        let messages = folder.join("qemu.txt");
        let stderr = File::create(&messages).map_err(|source| EmulatorError::Io {
            what: "cannot create",
            path: messages,
            source,
        })?;
        let serial = |kind: &str, name: &str| format!("{kind}:{}", escaped(&folder.join(name)));
        let qemu = Command::new(QEMU)
            .args(["-M", &format!("{},memory-backend=nv", board.name())])
            .args([
                "-object",
                &format!(
                    "memory-backend-file,id=nv,size=16M,share=on,mem-path={}",
                    escaped(flash)
                ),
            ])
            // One instruction takes 64 ns of virtual time, whatever the host does.
            .args(["-icount", "shift=6"])
            .args(["-display", "none", "-monitor", "none", "-nodefaults"])
            .args(["-serial", &serial("unix", "link")])
            .args(["-serial", &serial("unix", "sensor")])
            .args(["-serial", &serial("file", "debug.txt")])
            .arg("-kernel")
            .arg(board.firmware_path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .map_err(cannot_run);
        let mut qemu = match qemu {
            Ok(qemu) => qemu,
            Err(error) => {
                let _ = fs::remove_dir_all(&folder);
                return Err(error);
            }
        };
        let ports = watchdog(qemu.id()).and_then(|watchdog| {
            let [link, sensor] = &listeners;
            let link = accept(link, &mut qemu, &folder)?;
            Ok((watchdog, link, accept(sensor, &mut qemu, &folder)?))
        });
        match ports {
            Ok((watchdog, link, sensor)) => Ok(Process {
                watchdog,
                qemu,
                folder,
                link,
                sensor,
            }),
            Err(error) => {
                end(&mut qemu);
                let _ = fs::remove_dir_all(&folder);
                Err(error)
            }
        }
    }

    /// An error if QEMU has ended or the firmware has reported a panic.
    pub fn check(&mut self) -> Result<(), EmulatorError> {
        let said = self.debug_output();
        if said.contains("panic") {
            return Err(EmulatorError::Panicked(said));
        }
        match self.qemu.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(exited(&status.to_string(), &self.folder)),
            Err(error) => Err(exited(&error.to_string(), &self.folder)),
        }
    }

    /// Why a port was closed: waits for QEMU to have ended.
    pub fn ended(&mut self) -> EmulatorError {
        // Kill it in case only the port broke; its own status wins if it had already ended.
        let _ = self.qemu.kill();
        match self.qemu.wait() {
            Ok(status) => exited(&status.to_string(), &self.folder),
            Err(error) => exited(&error.to_string(), &self.folder),
        }
    }

    /// What the firmware has written to its debug port.
    pub fn debug_output(&self) -> String {
        let bytes = fs::read(self.folder.join("debug.txt")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }
}

impl Drop for Process {
    /// SIGKILL, as a power cut is; then reaps the process and removes the sockets.
    fn drop(&mut self) {
        // The watchdog first: QEMU's number must not be reused while it may still strike.
        end(&mut self.watchdog);
        end(&mut self.qemu);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Kills a process and reaps it.
pub fn end(child: &mut Child) {
    // Both fail only when the process has already ended and was reaped.
    let _ = child.kill();
    let _ = child.wait();
}

/// A shell that waits for the end of its input, which comes when this process ends in any way, and
/// then kills QEMU: a killed test run leaves no emulator behind that spins for ever.
pub fn watchdog(qemu: u32) -> Result<Child, EmulatorError> {
    Command::new("sh")
        .args(["-c", "read -r _; kill -9 \"$0\"", &qemu.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| EmulatorError::Io {
            what: "cannot run",
            path: "sh".into(),
            source,
        })
}

fn exited(status: &str, folder: &Path) -> EmulatorError {
    let output = fs::read_to_string(folder.join("qemu.txt")).unwrap_or_default();
    EmulatorError::Exited {
        status: status.to_owned(),
        output: output.trim().to_owned(),
    }
}

/// Waits for QEMU to connect a port, and starts the thread that reads it.
fn accept(listener: &UnixListener, qemu: &mut Child, folder: &Path) -> Result<Port, EmulatorError> {
    let failed = |source| EmulatorError::Io {
        what: "cannot use the serial port in",
        path: folder.into(),
        source,
    };
    let started = Instant::now();
    let stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(failed(error)),
            Err(_) => {}
        }
        if let Some(status) = qemu.try_wait().map_err(failed)? {
            return Err(exited(&status.to_string(), folder));
        }
        if started.elapsed() > CONNECT {
            return Err(EmulatorError::Silent {
                after: CONNECT,
                waiting_for: "the connection of a serial port",
                output: String::new(),
            });
        }
        thread::sleep(POLL);
    };
    stream.set_nonblocking(false).map_err(failed)?;
    stream.set_write_timeout(Some(WRITE)).map_err(failed)?;
    let mut reader = stream.try_clone().map_err(failed)?;
    let (sender, received) = mpsc::channel();
    // Ends when QEMU does, or when the port is dropped and more arrives.
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = reader.read(&mut buffer) {
            if sender.send(buffer[..len].to_vec()).is_err() {
                break;
            }
        }
    });
    Ok(Port { stream, received })
}

/// A folder for sockets and files of one run, readable by nobody else.
pub fn scratch_folder() -> Result<PathBuf, EmulatorError> {
    use std::os::unix::fs::DirBuilderExt;

    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dunlin-{}-{number}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            // Left behind by a process of the same number that was killed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => {
                return Err(EmulatorError::Io {
                    what: "cannot create",
                    path,
                    source,
                });
            }
        }
    }
}

/// A path inside a QEMU option, where a comma is doubled.
pub fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}
