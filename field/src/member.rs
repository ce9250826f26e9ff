//! One member of the fleet: a virtual board or an emulated one, behind a lossy link.

use std::path::Path;
use std::time::Duration;

use edge_runtime::{LoadError, Model};
use emulator::{Board, Emulator, EmulatorError, Factory, Info};
use firmware::DeviceConfig;
use firmware::virtual_board::flash::SECTOR;
use firmware::virtual_board::{VirtualBoard, VirtualBoardConfig};

use crate::link::LossyLink;

/// A frame delimiter of `edge_sync::frame`.
const DELIMITER: u8 = 0;
/// How long a tick waits for bytes of an emulated board, which lives in real time.
const GLANCE: Duration = Duration::from_millis(4);

/// Why a member cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// A virtual board did not boot.
    #[error("virtual board {device} does not boot: {problem}")]
    Boot {
        /// The device.
        device: u64,
        /// What the firmware says.
        problem: String,
    },
    /// A virtual board answered fewer windows than it was given.
    #[error("device {device} answered {answered} of {given} windows")]
    Unanswered {
        /// The device.
        device: u64,
        /// Windows that it answered.
        answered: usize,
        /// Windows that it was given.
        given: usize,
    },
    /// The image is none that a device could run.
    #[error("the image does not load: {0}")]
    Image(LoadError),
    /// The emulated board.
    #[error(transparent)]
    Emulator(#[from] EmulatorError),
}

/// One window as a device answered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Boot epoch, which with `window` names the window.
    pub epoch: u32,
    /// Number of the window in that epoch.
    pub window: u32,
    /// Class that the model answered.
    pub class: u8,
    /// Quantised features.
    pub features: Vec<i8>,
    /// Output of the model.
    pub output: Vec<i8>,
    /// Instructions for the features and for the model; `None` where nothing counts them.
    pub instructions: Option<(u32, u32)>,
}

/// Where a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Records that the server has not acknowledged; `None` while no application runs.
    pub pending: Option<u32>,
    /// Hash of the running image; `None` without one.
    pub model_hash: Option<[u8; 32]>,
}

enum Kind {
    Virtual(Box<VirtualBoard>),
    Emulated {
        board: Box<Emulator>,
        received: Vec<u8>,
    },
}

/// A device and its link to the server.
pub struct Member {
    /// Its identity towards the server.
    pub device: u64,
    /// Name of its board, for the compiler.
    pub board: String,
    kind: Kind,
    /// From the device to the server.
    pub up: LossyLink,
    /// From the server to the device.
    pub down: LossyLink,
}

impl Member {
    /// A virtual board that runs `image` as version `version`.
    ///
    /// # Errors
    /// [`MemberError::Boot`].
    pub fn virtual_board(
        device: DeviceConfig,
        image: &[u8],
        version: u32,
        up: LossyLink,
        down: LossyLink,
    ) -> Result<Self, MemberError> {
        let id = device.device_id;
        let board =
            VirtualBoard::new(config(device, image)?, Some((image, version))).map_err(|error| {
                MemberError::Boot {
                    device: id,
                    problem: format!("{error:?}"),
                }
            })?;
        Ok(Self {
            device: id,
            board: "host".into(),
            kind: Kind::Virtual(Box::new(board)),
            up,
            down,
        })
    }

    /// A board under QEMU over the flash file `flash`, which is written anew, running.
    ///
    /// # Errors
    /// [`MemberError::Emulator`].
    pub fn emulated(
        board: Board,
        flash: &Path,
        factory: &Factory<'_>,
        up: LossyLink,
        down: LossyLink,
    ) -> Result<Self, MemberError> {
        let name = board.name().to_string();
        let mut emulator = Emulator::provision(board, flash, factory)?;
        emulator.start()?;
        let kind = Kind::Emulated {
            board: Box::new(emulator),
            received: Vec::new(),
        };
        Ok(Self {
            device: factory.device_id,
            board: name,
            kind,
            up,
            down,
        })
    }

    /// Lets the device sense windows and answer them, in order.
    ///
    /// # Errors
    /// [`MemberError`] where one is not answered.
    pub fn sense<'r>(
        &mut self,
        now_ms: u64,
        windows: impl ExactSizeIterator<Item = &'r [f32]>,
    ) -> Result<Vec<Answered>, MemberError> {
        let given = windows.len();
        let mut answers = Vec::with_capacity(given);
        match &mut self.kind {
            Kind::Virtual(board) => {
                for samples in windows {
                    board.push_window(samples);
                }
                answers.extend(
                    std::iter::from_fn(|| board.step(now_ms)).map(|step| Answered {
                        epoch: step.epoch,
                        window: step.window,
                        class: step.class,
                        features: step.features,
                        output: step.output,
                        instructions: None,
                    }),
                );
            }
            Kind::Emulated { board, .. } => {
                for samples in windows {
                    let step = board.step(samples)?;
                    answers.push(Answered {
                        epoch: step.epoch,
                        window: step.window,
                        class: step.class,
                        features: step.features,
                        output: step.output,
                        instructions: Some((step.instructions_features, step.instructions_model)),
                    });
                }
            }
        }
        let (device, answered) = (self.device, answers.len());
        if answered < given {
            return Err(MemberError::Unanswered {
                device,
                answered,
                given,
            });
        }
        Ok(answers)
    }

    /// Ends a round: statistics and chosen samples go to the device's log.
    ///
    /// # Errors
    /// [`MemberError::Emulator`].
    pub fn end_round(&mut self) -> Result<(), MemberError> {
        match &mut self.kind {
            Kind::Virtual(board) => board.end_round(),
            Kind::Emulated { board, .. } => board.end_round()?,
        }
        Ok(())
    }

    /// One tick of the link: what the server sent arrives, what the device has to say goes out, and
    /// a device that waits for a reboot reboots.
    ///
    /// # Errors
    /// [`MemberError`].
    pub fn tick(&mut self, now_ms: u64) -> Result<(), MemberError> {
        let Self {
            device,
            kind,
            up,
            down,
            ..
        } = self;
        match kind {
            Kind::Virtual(board) => {
                while let Some(frame) = down.receive() {
                    board.on_link(now_ms, &frame);
                }
                while let Some(frame) = board.poll_link(now_ms) {
                    up.send(frame);
                }
                if board.wants_reboot() {
                    board.reboot().map_err(|error| MemberError::Boot {
                        device: *device,
                        problem: format!("{error:?}"),
                    })?;
                }
            }
            Kind::Emulated { board, received } => {
                while let Some(frame) = down.receive() {
                    board.link_send(&frame)?;
                }
                board.link_receive(GLANCE, received)?;
                while let Some(end) = received.iter().position(|&byte| byte == DELIMITER) {
                    up.send(received.drain(..=end).collect());
                }
                board.poll_restart()?;
            }
        }
        Ok(())
    }

    /// Where the device stands, at one moment: an emulated board may restart between two questions.
    ///
    /// # Errors
    /// [`MemberError::Emulator`].
    pub fn state(&mut self) -> Result<State, MemberError> {
        match &mut self.kind {
            Kind::Virtual(board) => Ok(State {
                pending: board.with(|app| app.pending_records()),
                model_hash: board.model_hash(),
            }),
            Kind::Emulated { board, .. } => {
                let info = board.info()?;
                Ok(State {
                    pending: Some(info.pending_records),
                    model_hash: Some(info.model_hash),
                })
            }
        }
    }

    /// What an emulated board knows of itself, with the bytes of its firmware; `None` for a virtual
    /// one.
    ///
    /// # Errors
    /// [`MemberError::Emulator`].
    pub fn info(&mut self) -> Result<Option<(Info, u32)>, MemberError> {
        match &mut self.kind {
            Kind::Virtual(_) => Ok(None),
            Kind::Emulated { board, .. } => {
                let firmware = board.board().firmware_bytes();
                Ok(Some((board.info()?, firmware)))
            }
        }
    }
}

/// A virtual board with room for the image, and for later ones of the same network.
fn config(device: DeviceConfig, image: &[u8]) -> Result<VirtualBoardConfig, MemberError> {
    let aligned = edge_compiler::AlignedBytes::from(image);
    let model = Model::load(&aligned).map_err(MemberError::Image)?;
    let small = VirtualBoardConfig::new(device);
    let slot = image.len() + image.len() / 4;
    Ok(VirtualBoardConfig {
        slot_bytes: small.slot_bytes.max(slot.next_multiple_of(SECTOR)),
        window: small.window.max(model.features().window),
        features: small.features.max(model.features().feature_len()),
        classes: small.classes.max(model.output().len),
        arena_bytes: small.arena_bytes.max(model.arena_bytes()),
        ..small
    })
}
