//! What happens to the fleet: which windows each device senses in which round.

use std::path::Path;

use host_trainer::dataset::{Rejected, Row};
use host_trainer::gas::{self, GasError};
use host_trainer::recipe::{DataRecipe, Recipe};
use host_trainer::vibration::{CLASSES, FieldConditions, Machine, VibrationSpec, mix};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The windows of one round.
#[derive(Clone, Debug)]
pub struct Round {
    /// Name for reports.
    pub name: String,
    /// Whether the field differs from the one the first model was trained in.
    pub changed: bool,
    /// Windows of each device, in the order in which it senses them.
    pub devices: Vec<Vec<Row>>,
}

/// All rounds, made one at a time: only one is in memory.
pub struct Schedule {
    source: Source,
    seed: u64,
    devices: usize,
    rounds: usize,
    rejected: Rejected,
}

enum Source {
    Vibration {
        spec: VibrationSpec,
        machines: Vec<Machine>,
        quiet: usize,
        windows: u32,
    },
    Batches(Vec<(u32, Vec<Row>)>),
}

impl Schedule {
    /// The rounds of a recipe. `change` is whether the built-in field changes after the quiet
    /// rounds; recorded data drifts by itself.
    ///
    /// # Errors
    /// [`GasError`] names the file that is missing or unusable.
    pub fn new(
        recipe: &Recipe,
        data: Option<&Path>,
        seed: u64,
        change: bool,
    ) -> Result<Self, GasError> {
        let fleet = &recipe.fleet;
        let devices = fleet.devices as usize;
        let mut rejected = Rejected::default();
        let (source, rounds) = match &recipe.data {
            DataRecipe::Vibration(spec) => {
                let rounds = (fleet.quiet_rounds + fleet.changed_rounds) as usize;
                // The fleet's machines come after those of the training set: none is known to it.
                let machines =
                    (0..fleet.devices).map(|id| Machine::new(spec, seed, spec.machines + id));
                let source = Source::Vibration {
                    spec: spec.clone(),
                    machines: machines.collect(),
                    quiet: if change {
                        fleet.quiet_rounds as usize
                    } else {
                        rounds
                    },
                    windows: fleet.windows_per_round,
                };
                (source, rounds)
            }
            DataRecipe::Gas(spec) => {
                let folder = data.unwrap_or(Path::new("."));
                let mut batches = Vec::new();
                for &batch in &spec.field_batches {
                    let data = gas::read_batch(folder, batch)?;
                    rejected.rows.extend(data.rejected.rows);
                    batches.push((batch, data.rows));
                }
                let rounds = batches.len();
                (Source::Batches(batches), rounds)
            }
        };
        Ok(Self {
            source,
            seed,
            devices,
            rounds,
            rejected,
        })
    }

    /// Rows of the data that cannot be used, and why.
    pub fn rejected(&self) -> &Rejected {
        &self.rejected
    }

    /// Rounds in all.
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    /// Round `index`, below [`Self::rounds`]. The same index gives the same windows.
    pub fn round(&self, index: usize) -> Round {
        let mut rng = ChaCha8Rng::seed_from_u64(mix(self.seed, 0x5EED_0000 + index as u64));
        match &self.source {
            Source::Vibration {
                spec,
                machines,
                quiet,
                windows,
            } => {
                let changed = index >= *quiet;
                let field = if changed {
                    spec.change
                } else {
                    FieldConditions::ORIGINAL
                };
                let devices = machines.iter().enumerate().map(|(device, machine)| {
                    (0..*windows)
                        .map(|n| {
                            let class = rng.random_range(0..CLASSES.len());
                            // Numbers that training never uses: it has the class in the upper half.
                            let number = 1 << 63 | (index as u64) << 32 | u64::from(n);
                            let samples = machine.window(class, &field, number);
                            Row::new(samples, class as u16, spec.machines + device as u32)
                        })
                        .collect()
                });
                Round {
                    name: format!("round {}", index + 1),
                    changed,
                    devices: devices.collect(),
                }
            }
            Source::Batches(batches) => {
                let (batch, rows) = &batches[index];
                let mut rows = rows.clone();
                // The files are sorted by class; a device in the field would see them mixed.
                rows.shuffle(&mut rng);
                let mut devices = vec![Vec::new(); self.devices];
                for (position, row) in rows.into_iter().enumerate() {
                    devices[position % self.devices].push(row);
                }
                Round {
                    name: format!("batch {batch}"),
                    changed: true,
                    devices,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_changes_after_the_quiet_rounds_only_when_asked() {
        let mut recipe = Recipe::vibration();
        recipe.fleet.devices = 3;
        recipe.fleet.windows_per_round = 2;
        let quiet = recipe.fleet.quiet_rounds as usize;
        let with = Schedule::new(&recipe, None, 1, true).expect("no files needed");
        let without = Schedule::new(&recipe, None, 1, false).expect("no files needed");
        assert!(!with.round(quiet - 1).changed && with.round(quiet).changed);
        assert!(!without.round(quiet).changed);
        assert_eq!(with.round(0).devices, without.round(0).devices);
        assert_ne!(with.round(quiet).devices, without.round(quiet).devices);
        assert_eq!(with.round(0).devices.len(), 3);
        assert!(with.round(0).devices.iter().all(|rows| rows.len() == 2));
    }

    #[test]
    fn a_missing_folder_names_the_file() {
        let error = Schedule::new(&Recipe::gas_drift(), Some(Path::new("/nowhere")), 0, true).err();
        assert!(
            error
                .expect("there is no such folder")
                .to_string()
                .contains("batch2.dat")
        );
    }
}
