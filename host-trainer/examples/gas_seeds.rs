//! The gas recipe over seeds, batch by batch, with randomly chosen labels and no fleet: `cargo run
//! --release -p host-trainer --example gas_seeds FOLDER [SEEDS]`.

use std::path::Path;

use edge_compiler::Target;
use host_trainer::evaluate::evaluate_image;
use host_trainer::recipe::{DataRecipe, Recipe};
use host_trainer::{gas, source, train};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name the folder of the batches")?;
    let folder = Path::new(&folder);
    let seeds: u64 = arguments.next().map_or(Ok(5), |n| n.parse())?;
    let recipe = Recipe::gas_drift();
    let DataRecipe::Gas(spec) = &recipe.data else {
        return Err("the built-in recipe is for gas".into());
    };
    let batches: Vec<_> = spec
        .field_batches
        .iter()
        .map(|&batch| gas::read_batch(folder, batch))
        .collect::<Result<_, _>>()?;
    for seed in 0..seeds {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let split = source::load(&recipe, Some(folder), seed)?;
        let began = std::time::Instant::now();
        let first = train(&recipe, &split, None, seed, &mut |_| ())?;
        println!(
            "seed {seed}: held out float {:.3} int8 {:.3}, {:.1} s",
            first.evaluation.float.accuracy,
            first.evaluation.int8.accuracy,
            began.elapsed().as_secs_f32()
        );
        let frozen = first.compile(&Target::host())?.image;
        let mut current = first.clone();
        let mut labelled = split.train.empty_like();
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for batch in &batches {
            let image = current.compile(&Target::host())?.image;
            without.push(evaluate_image(&frozen, batch)?.accuracy);
            with.push(evaluate_image(&image, batch)?.accuracy);
            let mut order: Vec<usize> = (0..batch.rows.len()).collect();
            order.shuffle(&mut rng);
            let share = batch.rows.len() * usize::from(recipe.fleet.sample_permille) / 1000;
            let chosen = order[..share].iter().map(|&row| batch.rows[row].clone());
            labelled.rows.extend(chosen);
            let data = split.with_labelled(&labelled, recipe.retraining.new_share);
            current = train(&recipe, &data, Some(&current.checkpoint), seed, &mut |_| ())?;
        }
        let mean = |figures: &[f64]| figures[1..].iter().sum::<f64>() / (figures.len() - 1) as f64;
        println!("  without {without:.3?}\n  with    {with:.3?}");
        println!(
            "  gain from the second batch on {:.3}",
            mean(&with) - mean(&without)
        );
    }
    Ok(())
}
