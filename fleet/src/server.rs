//! Sessions with devices: receive, commit, and only then acknowledge.

use std::collections::BTreeMap;
use std::path::Path;

use edge_compiler::{Target, TargetError};
use edge_sync::ServerSession;
use edge_sync::frame::MAX_FRAME;
use edge_sync::manifest::SigningKey;
use edge_sync::message::Policy;
use edge_sync::server::Event;

use crate::drift::NullModel;
use crate::release::{Release, ReleaseError, compile_image};
use crate::store::{Committed, Content, Received, Store, StoreError};

/// What a fleet is opened with. None of it is kept in the database.
#[derive(Clone, Copy, Debug)]
pub struct FleetConfig {
    /// Secret Ed25519 key that releases are signed with.
    pub signing_key: [u8; 32],
    /// How devices choose raw windows, until [`Fleet::set_policy`] says otherwise for one of them.
    /// Its `epoch` does not matter.
    pub policy: Policy,
}

/// The fleet's server, inside the process that uses it.
pub struct Fleet {
    pub(crate) store: Store,
    pub(crate) key: SigningKey,
    policy: Policy,
    devices: BTreeMap<u64, Device>,
    received: Vec<Received>,
    round: u32,
    pub(crate) release: Option<Release>,
    /// Null models by release.
    pub(crate) nulls: BTreeMap<u32, NullModel>,
}

struct Device {
    hardware_id: u32,
    target: String,
    session: Box<ServerSession>,
    /// Duplicates of the session that a commit has already counted.
    counted: u32,
}

impl Device {
    fn new(hardware_id: u32, target: String, policy: Policy) -> Self {
        let session = Box::new(ServerSession::new(policy));
        Self {
            hardware_id,
            target,
            session,
            counted: 0,
        }
    }
}

/// Bytes from a device that nobody enrolled: they are not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("device {device} is not enrolled: enrol it first")]
pub struct UnknownDevice {
    /// The device.
    pub device: u64,
}

/// Why a device cannot be enrolled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// No such board.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The board has another hardware id.
    #[error("board {target} has hardware id {expected}, the device says {found}")]
    Hardware {
        /// The board.
        target: String,
        /// Of the board.
        expected: u32,
        /// Of the device.
        found: u32,
    },
    /// The present release cannot be compiled for the board, or the database failed.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Fleet {
    /// Opens the database at `path`, or makes it; the devices, the round and the release are those
    /// that it holds.
    ///
    /// # Errors
    /// As [`Store::open`]; [`StoreError::Content`] when the stored release cannot be read.
    pub async fn open(path: &Path, config: FleetConfig) -> Result<Self, StoreError> {
        let store = Store::open(path).await?;
        let round = store.counter("round").await? as u32;
        let release = store.latest_release().await?;
        let devices = store.devices().await?;
        let mut fleet = Self {
            key: SigningKey::from_bytes(&config.signing_key),
            policy: config.policy,
            devices: devices
                .into_iter()
                .map(|row| {
                    (
                        row.device,
                        Device::new(row.hardware_id, row.target, config.policy),
                    )
                })
                .collect(),
            received: Vec::new(),
            round,
            release,
            nulls: BTreeMap::new(),
            store,
        };
        fleet.offer();
        Ok(fleet)
    }

    /// Closes the database. Dropping the fleet loses no more than this does: what was received and
    /// not committed, which the devices send again.
    pub async fn close(self) {
        self.store.close().await;
    }

    /// The key that devices verify releases with.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// The database, for questions.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Makes a device known, with the board it is built on. A device that is enrolled again keeps
    /// what it sent, but gets a new session.
    ///
    /// # Errors
    /// [`EnrolError`] for an unknown board or one with another hardware id, or where the present
    /// release cannot be compiled for it.
    pub async fn enrol(
        &mut self,
        device: u64,
        hardware_id: u32,
        target: &str,
    ) -> Result<(), EnrolError> {
        let board = Target::board(target)?;
        if board.hardware_id != hardware_id {
            return Err(EnrolError::Hardware {
                target: target.to_owned(),
                expected: board.hardware_id,
                found: hardware_id,
            });
        }
        self.add_image_for(&board).await?;
        self.store.enrol(device, hardware_id, target).await?;
        self.devices.insert(
            device,
            Device::new(hardware_id, target.to_owned(), self.policy),
        );
        self.offer();
        Ok(())
    }

    /// The present release for a board that none of the devices had when it was made.
    async fn add_image_for(&mut self, board: &Target) -> Result<(), ReleaseError> {
        let Some(release) = &self.release else {
            return Ok(());
        };
        if release.image(board.hardware_id).is_some() {
            return Ok(());
        }
        let version = release.version;
        let run = self.store.run(version).await?;
        let image = compile_image(&run, board, version, &self.key)?;
        self.store.add_image(version, &image).await?;
        if let Some(release) = &mut self.release {
            release.images.push(image);
        }
        Ok(())
    }

    /// Enrolled devices, ascending.
    pub fn devices(&self) -> impl Iterator<Item = u64> + '_ {
        self.devices.keys().copied()
    }

    /// Names of the boards of all devices, each once.
    pub(crate) fn targets(&self) -> Vec<String> {
        let mut targets: Vec<String> = self.devices.values().map(|d| d.target.clone()).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    /// The round that everything committed from now on is counted in.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.round
    }

    /// Starts a round; kept across restarts. Commit what belongs to the last one first.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn begin_round(&mut self, round: u32) -> Result<(), StoreError> {
        self.store.set_counter("round", round.into()).await?;
        self.round = round;
        Ok(())
    }

    /// Changes how one device chooses raw windows. Not kept across restarts.
    ///
    /// # Errors
    /// [`UnknownDevice`].
    pub fn set_policy(&mut self, device: u64, policy: Policy) -> Result<(), UnknownDevice> {
        let known = self
            .devices
            .get_mut(&device)
            .ok_or(UnknownDevice { device })?;
        known.session.set_policy(policy);
        Ok(())
    }

    /// Takes bytes that a device sent, any number of them. What they say waits for
    /// [`Fleet::commit`].
    ///
    /// # Errors
    /// [`UnknownDevice`].
    pub fn on_bytes(
        &mut self,
        device: u64,
        now_ms: u64,
        bytes: &[u8],
    ) -> Result<(), UnknownDevice> {
        let known = self
            .devices
            .get_mut(&device)
            .ok_or(UnknownDevice { device })?;
        let received = &mut self.received;
        known.session.on_bytes(now_ms, bytes, |event| {
            let content = match event {
                Event::Record { key, bytes } => Content::Record(key, bytes.to_vec()),
                Event::Hello(hello) => Content::Hello(hello),
                Event::UpdateStatus(status) => Content::Update(status),
                // The session answers by itself.
                _ => return,
            };
            received.push(Received {
                device,
                at_ms: now_ms,
                content,
            });
        });
        Ok(())
    }

    /// Stores all that was received since the last commit, in one transaction; then, and only then,
    /// the records may be acknowledged. Where it fails, everything received still waits.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn commit(&mut self) -> Result<Committed, StoreError> {
        let session_duplicates = |device: &Device| {
            u64::from(
                device
                    .session
                    .counters()
                    .duplicates
                    .wrapping_sub(device.counted),
            )
        };
        let known: u64 = self.devices.values().map(session_duplicates).sum();
        if self.received.is_empty() && known == 0 {
            return Ok(Committed::default());
        }
        let committed = self.store.ingest(self.round, &self.received, known).await?;
        for device in self.devices.values_mut() {
            device.counted = device.session.counters().duplicates;
        }
        for item in self.received.drain(..) {
            if let (Content::Record(key, _), Some(device)) =
                (item.content, self.devices.get_mut(&item.device))
            {
                device.session.committed(key);
            }
        }
        Ok(committed)
    }

    /// The next frame for a device, `None` when there is nothing to send now. To be called until
    /// it is `None`.
    ///
    /// # Errors
    /// [`UnknownDevice`].
    pub fn poll_transmit(
        &mut self,
        device: u64,
        now_ms: u64,
    ) -> Result<Option<Vec<u8>>, UnknownDevice> {
        let known = self
            .devices
            .get_mut(&device)
            .ok_or(UnknownDevice { device })?;
        let image = self
            .release
            .as_ref()
            .and_then(|r| r.image(known.hardware_id));
        let image: &[u8] = image.map_or(&[], |i| &i.image);
        let mut frame = vec![0; MAX_FRAME];
        // Buffer and image are those that the session asks for, so it cannot fail; and what it
        // could not send, the device would ask for again.
        let len = known
            .session
            .poll_transmit(now_ms, image, &mut frame)
            .unwrap_or(0);
        frame.truncate(len);
        Ok((len > 0).then_some(frame))
    }

    /// Blocks of images sent since the fleet was opened, repeated ones included.
    #[must_use]
    pub fn blocks_sent(&self) -> u64 {
        self.devices
            .values()
            .map(|d| u64::from(d.session.counters().blocks_sent))
            .sum()
    }

    /// Offers the present release to every device it has an image for.
    pub(crate) fn offer(&mut self) {
        for device in self.devices.values_mut() {
            let image = self
                .release
                .as_ref()
                .and_then(|r| r.image(device.hardware_id));
            device
                .session
                .set_offer(image.map(|image| (&image.signed, &image.manifest)));
        }
    }
}
