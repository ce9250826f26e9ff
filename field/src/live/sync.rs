//! Devices and server talk.

use fleet::Fleet;

use super::{Live, LoopError, TICK_MS, newest_hash};

/// A sync that takes longer than this, in ticks, is given up: two hours of the devices' time.
const PATIENCE: u64 = 360_000;

impl Live<'_> {
    /// Lets devices and server talk until every record is stored and every device runs the newest
    /// release. `kill` is the tick at which the server is killed, between what it received and what
    /// it stored, and opened again.
    pub(super) async fn sync(&mut self, kill: Option<u64>) -> Result<(), LoopError> {
        for tick in 0..PATIENCE {
            self.now_ms += TICK_MS;
            for member in &mut self.members {
                member.tick(self.now_ms)?;
                while let Some(frame) = member.up.receive() {
                    self.fleet.on_bytes(member.device, self.now_ms, &frame)?;
                }
            }
            if kill == Some(tick) {
                self.restart_server().await?;
            }
            self.fleet.commit().await?;
            for member in &mut self.members {
                while let Some(frame) = self.fleet.poll_transmit(member.device, self.now_ms)? {
                    member.down.send(frame);
                }
            }
            if kill.is_none_or(|at| tick > at) && self.is_settled()? {
                return Ok(());
            }
        }
        Err(LoopError::NeverSettled)
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

    fn is_settled(&mut self) -> Result<bool, LoopError> {
        for member in &mut self.members {
            let newest = newest_hash(&self.images, member);
            if !member.is_drained()? || member.model_hash()? != newest {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
