//! Labels, retraining, and the update that comes of it.

use fleet::DriftReport;
use host_trainer::vibration::mix;

use super::{Event, Live, LoopError};

impl Live<'_> {
    /// Asks for labels of returned samples: all of them where the recipe sets no budget, else after
    /// an alarm and as far as the budget goes. The ledger answers for the person. Returns how many
    /// were given.
    pub(super) async fn label(
        &mut self,
        drift: &DriftReport,
        number: u32,
        returned: u64,
    ) -> Result<u64, LoopError> {
        let bounded = self.recipe.fleet.label_budget > 0;
        if bounded && !drift.alarm {
            return Ok(0);
        }
        if !bounded {
            self.fleet.grant_labels(returned as u32).await?;
            self.label_budget += returned;
        }
        let requests = self.fleet.ask_labels(returned as usize, number).await?;
        let mut given = 0;
        for request in requests {
            let truth = self
                .ledger
                .truth((request.device, request.epoch, request.window));
            let label = truth.and_then(|truth| self.split.train.labels.get(usize::from(truth)));
            if let Some(label) = label {
                self.fleet.answer(request.id, label).await?;
                given += 1;
            }
        }
        Ok(given)
    }

    /// Retrains, releases, and waits until every device runs the release. Returns the bytes of its
    /// image and the devices that run it.
    pub(super) async fn update(
        &mut self,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<(u64, u64), LoopError> {
        let seed = mix(self.seed, u64::from(self.version));
        let retrained = self
            .fleet
            .retrain(&self.split, seed, &mut |progress| {
                observe(Event::Training {
                    retraining: true,
                    progress,
                });
            })
            .await?;
        self.version = self
            .fleet
            .release(&retrained.run, self.now_ms)
            .await?
            .version;
        self.take_images();
        self.sync(false).await?;
        let rollout = self.fleet.rollout().await?;
        let devices = rollout.updated.len() + rollout.on_trial.len();
        let bytes = self.images.get(&self.members[0].board).map_or(0, Vec::len);
        Ok((bytes as u64, devices as u64))
    }
}
