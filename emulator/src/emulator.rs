use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use firmware::emulated::{FromBoard, Info, Ready, ToBoard};

use crate::{
    board::Board,
    error::EmulatorError,
    process::Process,
    provision::{self, Factory},
    wire::{self, Receiver},
};

/// A board that says nothing for this long, while an answer is due, is taken for stuck. Generous:
/// on a busy machine a row of 1024 samples takes a good second.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a wait looks whether QEMU still runs.
const GLANCE: Duration = Duration::from_millis(200);

/// One window as the board saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Boot epoch.
    pub epoch: u32,
    /// Number of the window in this epoch.
    pub window: u32,
    /// Class with the highest output.
    pub class: u8,
    /// Confidence as the board logged it, 0 to 255.
    pub confidence: u8,
    /// Quantised features.
    pub features: Vec<i8>,
    /// Outputs of the model.
    pub output: Vec<i8>,
    /// Instructions from the samples to the quantised features.
    pub instructions_features: u32,
    /// Instructions of the inference alone.
    pub instructions_model: u32,
}

/// One emulated board with its flash file. Dropping it kills QEMU and leaves the file.
pub struct Emulator {
    board: Board,
    flash: PathBuf,
    running: Option<Running>,
    ready: Option<Ready>,
    boots: u32,
}

struct Running {
    process: Process,
    receiver: Receiver,
}

/// An answer with everything it borrowed copied.
enum Answer {
    Step(Step),
    Output(Vec<i8>),
    RoundEnded,
    Info(Info),
    Counted(u32),
}

impl Emulator {
    /// A board as it leaves the factory: creates the flash file (16 MB, sparse) with the model in
    /// its first slot. Does not start it.
    ///
    /// # Errors
    /// [`EmulatorError::ImageTooLarge`], [`EmulatorError::Provision`], [`EmulatorError::Io`].
    pub fn provision(board: Board, flash: &Path, factory: &Factory) -> Result<Self, EmulatorError> {
        provision::write_flash(flash, factory)?;
        Ok(Self::existing(board, flash))
    }

    /// A board over a flash file that [`Self::provision`] made earlier. Does not start it.
    pub fn existing(board: Board, flash: &Path) -> Self {
        Emulator {
            board,
            flash: flash.into(),
            running: None,
            ready: None,
            boots: 0,
        }
    }

    /// The board.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// The file behind the flash.
    pub fn flash(&self) -> &Path {
        &self.flash
    }

    /// Starts QEMU and waits until the application has booted. Kills it first if it runs.
    ///
    /// # Errors
    /// [`EmulatorError::QemuMissing`], [`EmulatorError::Exited`], [`EmulatorError::Silent`],
    /// [`EmulatorError::Io`].
    pub fn start(&mut self) -> Result<Ready, EmulatorError> {
        self.kill();
        let process = Process::start(&self.board, &self.flash)?;
        self.running = Some(Running {
            process,
            receiver: Receiver::new(),
        });
        self.wait_for_boot(PATIENCE)
    }

    /// Cuts the power: SIGKILL to QEMU. What was not read from the ports is lost.
    pub fn kill(&mut self) {
        self.running = None;
        self.ready = None;
    }

    /// Whether QEMU was started and not killed.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// State at the last boot; `None` when the board does not run.
    pub fn ready(&self) -> Option<Ready> {
        self.ready
    }

    /// Boots seen since this value was made: starts, and the board's own restarts.
    pub fn boots(&self) -> u32 {
        self.boots
    }

    /// Lets the board sense, infer and log one window, and waits for it. When the board restarts
    /// meanwhile, to run another model, the row is sent again.
    ///
    /// # Errors
    /// [`EmulatorError::Refused`] for a row of another length than the window,
    /// [`EmulatorError::NotRunning`], [`EmulatorError::Silent`], [`EmulatorError::Panicked`],
    /// [`EmulatorError::Exited`].
    pub fn step(&mut self, row: &[f32]) -> Result<Step, EmulatorError> {
        let samples: Vec<u8> = row.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        match self.ask(ToBoard::Row(&samples), "a row")? {
            Answer::Step(step) => Ok(step),
            _ => Err(out_of_step("a row")),
        }
    }

    /// Runs the board's model alone on an input that is quantised already.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn infer(&mut self, input: &[i8]) -> Result<Vec<i8>, EmulatorError> {
        let bytes: Vec<u8> = input.iter().map(|value| value.cast_unsigned()).collect();
        match self.ask(ToBoard::Infer(&bytes), "an input")? {
            Answer::Output(output) => Ok(output),
            _ => Err(out_of_step("an input")),
        }
    }

    /// Ends the round: statistics and chosen samples go to the log.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn end_round(&mut self) -> Result<(), EmulatorError> {
        match self.ask(ToBoard::EndRound, "the end of a round")? {
            Answer::RoundEnded => Ok(()),
            _ => Err(out_of_step("the end of a round")),
        }
    }

    /// Asks the board for stack, arena and model.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn info(&mut self) -> Result<Info, EmulatorError> {
        match self.ask(ToBoard::Query, "a query")? {
            Answer::Info(info) => Ok(info),
            _ => Err(out_of_step("a query")),
        }
    }

    /// Instructions that the board counts for a loop of two instructions, `iterations` times.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn count_loop(&mut self, iterations: u32) -> Result<u32, EmulatorError> {
        match self.ask(ToBoard::Count(iterations), "a loop to count")? {
            Answer::Counted(instructions) => Ok(instructions),
            _ => Err(out_of_step("a loop to count")),
        }
    }

    /// Sends bytes on the sync link.
    ///
    /// # Errors
    /// [`EmulatorError::NotRunning`], [`EmulatorError::Exited`], [`EmulatorError::Silent`] when the
    /// board takes nothing.
    pub fn link_send(&mut self, bytes: &[u8]) -> Result<(), EmulatorError> {
        let running = self.running.as_mut().ok_or(EmulatorError::NotRunning)?;
        let sent = running.process.link.send(bytes);
        running.sent(sent, "bytes on the link")
    }

    /// Appends what the board has sent on the sync link to `bytes`; waits up to `patience` for the
    /// first byte. Returns how many were appended, 0 when none came.
    ///
    /// # Errors
    /// [`EmulatorError::NotRunning`], [`EmulatorError::Exited`], [`EmulatorError::Panicked`].
    pub fn link_receive(
        &mut self,
        patience: Duration,
        bytes: &mut Vec<u8>,
    ) -> Result<usize, EmulatorError> {
        let running = self.running.as_mut().ok_or(EmulatorError::NotRunning)?;
        let before = bytes.len();
        let mut patience = patience;
        loop {
            match running.process.link.receive(patience) {
                Ok(Some(more)) => bytes.extend(more),
                Ok(None) => return Ok(bytes.len() - before),
                Err(closed) => return Err(running.lost(closed)),
            }
            patience = Duration::ZERO;
        }
    }

    /// Takes note of a restart that the board made by itself, without waiting for one: returns the
    /// state after it, or `None` when there was none since the last call that talked to the board.
    ///
    /// # Errors
    /// [`EmulatorError::NotRunning`], [`EmulatorError::Exited`], [`EmulatorError::Panicked`].
    pub fn poll_restart(&mut self) -> Result<Option<Ready>, EmulatorError> {
        let before = self.boots;
        let running = self.running.as_mut().ok_or(EmulatorError::NotRunning)?;
        running.process.check()?;
        // An answer without a question is one that an earlier call gave up waiting for.
        while running.next_message(Duration::ZERO, |message| {
            if let FromBoard::Ready(ready) = message {
                self.ready = Some(*ready);
                self.boots += 1;
            }
        })? {}
        Ok(self.ready.filter(|_| self.boots != before))
    }

    /// Waits for the next boot.
    ///
    /// # Errors
    /// [`EmulatorError::Silent`] after `patience`, and as [`Self::poll_restart`].
    pub fn wait_for_boot(&mut self, patience: Duration) -> Result<Ready, EmulatorError> {
        let started = Instant::now();
        let running = self.running.as_mut().ok_or(EmulatorError::NotRunning)?;
        loop {
            let mut booted = None;
            running.next_message(GLANCE, |message| {
                if let FromBoard::Ready(ready) = message {
                    booted = Some(*ready);
                }
            })?;
            if let Some(ready) = booted {
                self.ready = Some(ready);
                self.boots += 1;
                return Ok(ready);
            }
            if started.elapsed() > patience {
                return Err(running.silent(patience, "the boot"));
            }
        }
    }

    /// Sends a message and waits for its answer; sends it again after each restart of the board.
    fn ask(&mut self, message: ToBoard<'_>, what: &'static str) -> Result<Answer, EmulatorError> {
        self.poll_restart()?;
        let epoch = self.ready.map_or(0, |ready| ready.epoch);
        let running = self.running.as_mut().ok_or(EmulatorError::NotRunning)?;
        let sent = running.process.sensor.send(&wire::frame(epoch, &message));
        running.sent(sent, what)?;
        let mut started = Instant::now();
        loop {
            let mut answer = None;
            let mut restarted = None;
            running.next_message(GLANCE, |message| match message {
                FromBoard::Ready(ready) => restarted = Some(*ready),
                FromBoard::Step(trace) => answer = Some(Ok(Answer::Step(Step::from(trace)))),
                FromBoard::Output(output) => {
                    let output = output.iter().map(|byte| byte.cast_signed()).collect();
                    answer = Some(Ok(Answer::Output(output)));
                }
                FromBoard::RoundEnded => answer = Some(Ok(Answer::RoundEnded)),
                FromBoard::Info(info) => answer = Some(Ok(Answer::Info(*info))),
                FromBoard::Counted(count) => answer = Some(Ok(Answer::Counted(*count))),
                FromBoard::Refused(why) => answer = Some(Err(*why)),
            })?;
            match answer {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(why)) => {
                    return Err(EmulatorError::Refused {
                        what,
                        why: wire::explain(why),
                    });
                }
                None => {}
            }
            if let Some(ready) = restarted {
                self.ready = restarted;
                self.boots += 1;
                let sent = running
                    .process
                    .sensor
                    .send(&wire::frame(ready.epoch, &message));
                running.sent(sent, what)?;
                started = Instant::now();
            }
            if started.elapsed() > PATIENCE {
                return Err(running.silent(PATIENCE, what));
            }
        }
    }
}

impl Running {
    /// Hands the next message from the sensor port to `take`; `false` when none came in time.
    fn next_message(
        &mut self,
        patience: Duration,
        take: impl FnMut(&FromBoard<'_>),
    ) -> Result<bool, EmulatorError> {
        let mut take = take;
        if self.receiver.next(&mut take) {
            return Ok(true);
        }
        match self.process.sensor.receive(patience) {
            Ok(Some(bytes)) => self.receiver.push(&bytes),
            Ok(None) => {
                self.process.check()?;
                return Ok(false);
            }
            Err(closed) => return Err(self.lost(closed)),
        }
        Ok(self.receiver.next(&mut take) || patience.is_zero())
    }

    fn sent(&mut self, sent: std::io::Result<()>, what: &'static str) -> Result<(), EmulatorError> {
        sent.map_err(|_| match self.process.check() {
            Err(error) => error,
            Ok(()) => self.silent(crate::process::WRITE, what),
        })
    }

    /// Why a port closed: QEMU has ended, or is about to.
    fn lost(&mut self, _: crate::process::Closed) -> EmulatorError {
        self.process.ended()
    }

    fn silent(&self, after: Duration, waiting_for: &'static str) -> EmulatorError {
        let mut output = self.process.debug_output();
        if !output.is_empty() {
            output.insert_str(0, ": ");
        }
        EmulatorError::Silent {
            after,
            waiting_for,
            output,
        }
    }
}

fn out_of_step(what: &'static str) -> EmulatorError {
    EmulatorError::Refused {
        what,
        why: "it answered something else".into(),
    }
}
