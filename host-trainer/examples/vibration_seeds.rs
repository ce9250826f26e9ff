//! Figures of the built-in recipe over seeds: `cargo run --release -p host-trainer --example
//! vibration_seeds [SEEDS]`. Takes about a minute a seed.

use std::time::Instant;

use host_trainer::evaluate::evaluate_image;
use host_trainer::recipe::{DataRecipe, Recipe};
use host_trainer::vibration::{CLASSES, FieldConditions, Machine, threshold_accuracy};
use host_trainer::{Dataset, Row, source, train};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seeds: u64 = std::env::args().nth(1).map_or(Ok(5), |n| n.parse())?;
    let recipe = Recipe::vibration();
    let DataRecipe::Vibration(spec) = &recipe.data else {
        return Err("the built-in recipe is for vibration".into());
    };
    for seed in 0..seeds {
        let split = source::load(&recipe, None, seed)?;
        let began = Instant::now();
        let mut epochs = 0;
        let run = train(&recipe, &split, None, seed, &mut |progress| {
            epochs = progress.epoch;
            if std::env::var_os("VERBOSE").is_some() {
                println!("{progress:?}");
            }
        })?;
        let seconds = began.elapsed().as_secs_f32();
        let image = run.compile(&edge_compiler::Target::host())?;
        let field = |field: &FieldConditions, round: u64| {
            let mut data = split.test.empty_like();
            for id in 0..50 {
                let machine = Machine::new(spec, seed, spec.machines + id);
                for n in 0..40 {
                    let class = (n % CLASSES.len() as u64) as usize;
                    let number = 1 << 63 | round << 32 | n;
                    let samples = machine.window(class, field, number);
                    data.rows.push(Row::new(samples, class as u16, id));
                }
            }
            data
        };
        let quiet = field(&FieldConditions::ORIGINAL, 0);
        let changed = field(&spec.change, 1);
        // 200 labels, as a loop would buy them; 9 and the 4 classes have no common factor.
        let labelled = Dataset {
            rows: changed.rows.iter().step_by(9).take(200).cloned().collect(),
            ..changed.clone()
        };
        let began = Instant::now();
        let data = split.with_labelled(&labelled, recipe.retraining.new_share);
        let next = train(&recipe, &data, Some(&run.checkpoint), seed, &mut |_| ())?;
        let again = began.elapsed().as_secs_f32();
        let later = field(&spec.change, 2);
        let next_image = next.compile(&edge_compiler::Target::host())?;
        println!(
            "seed {seed}: float {:.4} int8 {:.4} ({epochs} epochs, {seconds:.1} s, {} parameters, {} MAC, {} bytes) \
             fleet {:.4} changed {:.4} retrained {:.4} ({again:.1} s), on the original test {:.4}; thresholds on RMS and kurtosis {:.4}",
            run.evaluation.float.accuracy,
            run.evaluation.int8.accuracy,
            run.checkpoint.parameters(),
            image.macs,
            image.image.len(),
            evaluate_image(&image.image, &quiet)?.accuracy,
            evaluate_image(&image.image, &changed)?.accuracy,
            evaluate_image(&next_image.image, &later)?.accuracy,
            next.evaluation.int8.accuracy,
            threshold_accuracy(&split.train, &split.test),
        );
        println!("  confusion {:?}", run.evaluation.int8.confusion);
    }
    Ok(())
}
