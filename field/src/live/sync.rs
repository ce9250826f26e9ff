//! Devices and server talk.

use fleet::Fleet;

use super::{Live, LoopError, TICK_MS, newest_hash};

/// A sync that takes longer than this, in ticks, is given up: ten minutes of the devices' time.
const PATIENCE: u64 = 30_000;
/// The server is killed in the first tick from this one on in which it has received something.
const KILL_TICK: u64 = 3;

impl Live<'_> {
    /// Lets devices and server talk until every record is stored and every device runs the newest
    /// release. With `kill` the server is killed on the way, between what it received and what it
    /// stored, and opened again.
    pub(super) async fn sync(&mut self, mut kill: bool) -> Result<(), LoopError> {
        for tick in 0..PATIENCE {
            self.now_ms += TICK_MS;
            let mut received = 0;
            for member in &mut self.members {
                member.tick(self.now_ms)?;
                while let Some(frame) = member.up.receive() {
                    received += frame.len();
                    self.fleet.on_bytes(member.device, self.now_ms, &frame)?;
                }
            }
            if kill && tick >= KILL_TICK && received > 0 {
                self.restart_server().await?;
                kill = false;
            }
            self.fleet.commit().await?;
            for member in &mut self.members {
                while let Some(frame) = self.fleet.poll_transmit(member.device, self.now_ms)? {
                    member.down.send(frame);
                }
            }
            if !kill && self.unsettled()?.is_none() {
                return Ok(());
            }
        }
        let device = self.unsettled()?.unwrap_or_default();
        let rollout = self.fleet.rollout().await?;
        let failure = rollout
            .failed
            .into_iter()
            .find(|(failed, _)| *failed == device);
        let reason = failure.map_or_else(
            || "some record of it was never acknowledged, or it never took the update".to_owned(),
            |(_, reason)| format!("it gave the update up: {reason}"),
        );
        Err(LoopError::NeverSettled { device, reason })
    }

    /// Drops the server with all that it has not stored, and opens it again from its file.
    async fn restart_server(&mut self) -> Result<(), LoopError> {
        let path = self.folder.path().join("fleet.sqlite");
        self.fleet = Fleet::open(&path, self.config).await?;
        for member in &mut self.members {
            member.down.clear();
        }
        self.server_restarts += 1;
        Ok(())
    }

    /// The first device that has something to say yet, or runs another model than the newest.
    fn unsettled(&mut self) -> Result<Option<u64>, LoopError> {
        for member in &mut self.members {
            let newest = newest_hash(&self.images, member);
            let state = member.state()?;
            if state.pending != Some(0) || state.model_hash != newest {
                return Ok(Some(member.device));
            }
        }
        Ok(None)
    }
}
