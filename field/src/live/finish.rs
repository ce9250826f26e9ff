//! Settling the accounts.

use super::{Live, LoopError, image_hash, newest_hash};
use crate::report::{FleetFigures, ModelFigures, Report};

impl Live<'_> {
    /// Settles the accounts.
    pub(super) async fn finish(mut self) -> Result<Report, LoopError> {
        let stored = self.fleet.store().inferences().await?;
        let totals = self.fleet.store().totals().await?;
        let mut on_final = 0;
        for member in &mut self.members {
            let newest = newest_hash(&self.images, member);
            on_final += usize::from(member.state()?.model_hash == newest);
        }
        if let Some((info, firmware)) = self.members[0].info()? {
            self.device.stack_bytes = Some(info.stack_peak.into());
            self.device.firmware_bytes = Some(firmware.into());
        }
        self.device.board = match self.members[0].board.as_str() {
            "host" => "virtual".to_string(),
            name => name.to_string(),
        };
        self.device.instructions_features = median(self.instructions.iter().map(|i| i.0));
        self.device.instructions_model = median(self.instructions.iter().map(|i| i.1));
        let links = || {
            self.members
                .iter()
                .flat_map(|member| [&member.up, &member.down])
        };
        let fleet = FleetFigures {
            devices: self.members.len(),
            produced: self.ledger.produced(),
            stored: stored.len() as u64,
            duplicates_dropped: totals.duplicates,
            lost: self.ledger.missing(&stored),
            frames_lost: links().map(|link| link.lost).sum(),
            frames_duplicated: links().map(|link| link.duplicated).sum(),
            server_restarts: self.server_restarts,
            labels_used: totals.labelled,
            label_budget: self.label_budget,
            final_model_hash: hex(&image_hash(
                self.images
                    .get(&self.members[0].board)
                    .map_or(&[], Vec::as_slice),
            )),
            devices_on_final_model: on_final,
        };
        let evaluation = &self.first.evaluation;
        let image = edge_compiler::AlignedBytes::from(self.first_image.as_slice());
        let loaded = edge_runtime::Model::load(&image).map_err(LoopError::Load)?;
        let model = ModelFigures {
            accuracy_float: evaluation.float.accuracy,
            accuracy_int8: evaluation.int8.accuracy,
            macro_f1_int8: evaluation.int8.macro_f1,
            image_bytes: loaded.image_len(),
            arena_bytes: loaded.arena_bytes(),
            macs: loaded.macs(),
        };
        Ok(Report {
            recipe: self.recipe.name.clone(),
            seed: self.seed,
            model,
            device: self.device,
            fleet,
            rounds: self.rounds,
            feature_names: self.names,
            labels: self.split.train.labels,
            float: evaluation.float.clone(),
            int8: evaluation.int8.clone(),
            rejected_rows: self.rejected,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn median(values: impl Iterator<Item = u32>) -> Option<u64> {
    let mut values: Vec<u32> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).map(|&value| value.into())
}
