//! The server's end of the link: production code of `edge-sync` over the emulator's first port.
//! What it commits it keeps in memory.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use edge_compiler::AlignedBytes;
use edge_runtime::Model;
use edge_sync::{
    Record, RecordKey, ServerSession, frame,
    manifest::{self, Manifest, SignedManifest, SigningKey},
    message::{Policy, UpdateState},
    server::Event,
};
use emulator::Emulator;

/// Longest that anything here may take. Only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of a block of a release.
pub const BLOCK: usize = 1024;

/// The key that the test boards are provisioned with.
pub fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// An image with its signed manifest.
pub struct Release {
    pub image: AlignedBytes,
    pub manifest: Manifest,
    pub signed: SignedManifest,
}

impl Release {
    pub fn new(image: AlignedBytes, version: u32) -> Self {
        let model = Model::load(&image).unwrap();
        let manifest = Manifest {
            version,
            hardware_id: 0x0386,
            image_hash: manifest::image_hash(&image),
            image_len: image.len() as u32,
            block_len: BLOCK as u32,
            arena_bytes: model.arena_bytes() as u32,
            kernel_set: model.kernel_set(),
            firmware_min: 0,
            firmware_max: u32::MAX,
        };
        let signed = manifest::sign(&signing_key(), &manifest);
        Release {
            image,
            manifest,
            signed,
        }
    }
}

/// A server that has just started.
pub struct Server<'r> {
    pub session: ServerSession,
    release: Option<&'r Release>,
    started: Instant,
    /// Epoch and number of each window that came home.
    windows: BTreeSet<(u32, u32)>,
    seen: BTreeSet<RecordKey>,
    /// Windows that the merged statistics are about.
    pub statistics_windows: u32,
    /// Blocks that the board asked for, in order.
    pub requested: Vec<u32>,
    /// Every version and state of an update that the board reported.
    pub states: Vec<(u32, UpdateState)>,
    /// Bytes that went over the link, both ways.
    pub traffic: usize,
}

impl<'r> Server<'r> {
    pub fn new(release: Option<&'r Release>) -> Self {
        let mut session = ServerSession::new(Policy::default());
        session.set_offer(release.map(|release| (&release.signed, &release.manifest)));
        Server {
            session,
            release,
            started: Instant::now(),
            windows: BTreeSet::new(),
            seen: BTreeSet::new(),
            statistics_windows: 0,
            requested: Vec::new(),
            states: Vec::new(),
            traffic: 0,
        }
    }

    /// Windows of this epoch that came home.
    pub fn windows_of(&self, epoch: u32) -> usize {
        self.windows.range((epoch, 0)..=(epoch, u32::MAX)).count()
    }

    /// One turn: takes what the board has sent (waiting a moment for it), commits, answers.
    pub fn exchange(&mut self, emulator: &mut Emulator) {
        self.exchange_up_to(emulator, usize::MAX);
    }

    /// As [`Self::exchange`], but sends no more than `limit` bytes.
    pub fn exchange_up_to(&mut self, emulator: &mut Emulator, limit: usize) {
        let now = self.started.elapsed().as_millis() as u64;
        let mut received = Vec::new();
        emulator
            .link_receive(Duration::from_millis(5), &mut received)
            .unwrap();
        self.traffic += received.len();
        let Server {
            session,
            windows,
            seen,
            statistics_windows,
            requested,
            states,
            ..
        } = self;
        let mut keys = Vec::new();
        session.on_bytes(now, &received, |event| match event {
            Event::Record { key, bytes } => {
                keys.push(key);
                if !seen.insert(key) {
                    return;
                }
                match Record::decode(bytes).unwrap() {
                    Record::Inference { window, .. } => {
                        windows.insert((key.epoch, window));
                    }
                    Record::Statistics {
                        windows, offset: 0, ..
                    } => *statistics_windows += windows,
                    _ => {}
                }
            }
            Event::BlockRequest(request) => requested.push(request.index),
            Event::UpdateStatus(status) => states.push((status.version, status.state)),
            _ => {}
        });
        for key in keys {
            session.committed(key);
        }
        let image = self.release.map_or(&[][..], |release| &release.image[..]);
        let mut out = vec![0; frame::MAX_FRAME];
        let mut left = limit;
        while left > 0 {
            let len = self.session.poll_transmit(now, image, &mut out).unwrap();
            if len == 0 {
                break;
            }
            let sent = len.min(left);
            emulator.link_send(&out[..sent]).unwrap();
            self.traffic += sent;
            left -= sent;
        }
    }

    /// Turns until `done`.
    pub fn run_until(&mut self, emulator: &mut Emulator, done: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !done(self) {
            self.exchange(emulator);
            assert!(
                started.elapsed() < PATIENCE,
                "not done: {:?}, states {:?}, {} blocks asked for, {} windows",
                self.session.counters(),
                self.states,
                self.requested.len(),
                self.windows.len(),
            );
        }
    }

    /// Turns until nothing has come for `quiet`.
    pub fn settle(&mut self, emulator: &mut Emulator, quiet: Duration) {
        let mut since = Instant::now();
        while since.elapsed() < quiet {
            let before = self.traffic;
            self.exchange(emulator);
            if self.traffic != before {
                since = Instant::now();
            }
        }
    }
}
