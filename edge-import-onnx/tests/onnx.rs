//! Random models, imported, compiled and compared with ONNX Runtime: see `goldens/README.md`.

mod goldens;

use edge_compiler::{AlignedBytes, Package, Target, compile};
use edge_import_onnx::{Calibration, End, Ends, OnnxModel, OnnxOptions, import_model};
use edge_runtime::{Model, Session};

use goldens::Golden;

fn goldens(real: bool) -> Vec<Golden> {
    let mut goldens = goldens::goldens();
    goldens.retain(|golden| golden.real == real);
    goldens
}

fn imported(golden: &Golden, ends: Ends) -> OnnxModel {
    let calibration = golden.real.then(|| Calibration {
        samples: golden.calibration.clone(),
        ..Calibration::default()
    });
    let options = OnnxOptions {
        calibration,
        ends,
        ..OnnxOptions::default()
    };
    match import_model(&golden.model, &options) {
        Ok(model) => model,
        Err(error) => panic!("{}: {error}", golden.name),
    }
}

/// For each element of the graph's tensor its place in the file's.
fn places(end: &End) -> Vec<usize> {
    let mut places = vec![0];
    for &dimension in &end.order {
        let stride: usize = end.shape[dimension + 1..].iter().product();
        let size = end.shape[dimension];
        places = places
            .iter()
            .flat_map(|p| (0..size).map(move |i| p + i * stride))
            .collect();
    }
    places
}

fn quantise(end: &End, real: f32) -> i8 {
    ((real / end.scale).round_ties_even() as i32 + end.zero_point).clamp(-128, 127) as i8
}

/// What the compiled model gives for rows of real numbers in the file's order.
fn run(model: &OnnxModel, rows: &[Vec<f32>]) -> Vec<Vec<i8>> {
    let package = Package::bare(model.imported.graph.clone());
    let image = compile(&package, &Target::host()).unwrap().image;
    let loaded = Model::load(&image).unwrap();
    let mut arena = AlignedBytes::zeroed(loaded.arena_bytes());
    let mut session = Session::new(&loaded, arena.as_i8_mut()).unwrap();
    let (input, output) = (&model.inputs[0], &model.outputs[0]);
    let (into, out_of) = (places(input), places(output));
    let mut run = |row: &Vec<f32>| {
        let quantised: Vec<i8> = into.iter().map(|&p| quantise(input, row[p])).collect();
        session.input_mut().copy_from_slice(&quantised);
        session.run();
        let mut turned = vec![0; out_of.len()];
        for (&place, &value) in out_of.iter().zip(session.output()) {
            turned[place] = value;
        }
        turned
    };
    rows.iter().map(&mut run).collect()
}

/// Output values by how many steps they differ from ONNX Runtime's; the last count is of all that
/// differ by more.
fn compare(golden: &Golden, model: &OnnxModel) -> [usize; 11] {
    let mut counts = [0; 11];
    for (found, expected) in run(model, &golden.inputs).iter().zip(&golden.outputs) {
        for (&found, &expected) in found.iter().zip(expected) {
            let expected = quantise(&model.outputs[0], expected);
            counts[usize::from(found.abs_diff(expected)).min(10)] += 1;
        }
    }
    counts
}

/// ONNX Runtime computes in real numbers between QuantizeLinear and DequantizeLinear, where integer
/// kernels round once or twice. A single operator is at most one step off. Where a model continues,
/// the slope of what follows counts: one step into a steep Tanh or Softmax is several out of it.
#[test]
fn quantised_models_are_within_steps_of_onnx_runtime() {
    let (mut total, mut wrong) = ([0; 11], Vec::new());
    for golden in goldens(false) {
        let model = imported(&golden, Ends::ChannelsLast);
        let counts = compare(&golden, &model);
        println!("{}: {counts:?}", golden.name);
        for (total, count) in total.iter_mut().zip(counts) {
            *total += count;
        }
        let beyond: usize = counts[2..].iter().sum();
        let allowed = match golden.name.starts_with("one_") {
            true => 0,
            false => counts.iter().sum::<usize>() / 25,
        };
        if beyond > allowed || counts[10] > 0 {
            wrong.push(golden.name);
        }
    }
    println!("{total:?}");
    assert!(wrong.is_empty(), "{wrong:?}");
    let all: usize = total.iter().sum();
    assert!(total[0] > all - all / 50 && total[2..].iter().sum::<usize>() < all / 500);
}

#[test]
fn ends_in_the_order_of_the_file_give_the_same() {
    for golden in goldens(false) {
        let [one, other] = [Ends::ChannelsLast, Ends::AsInFile].map(|ends| imported(&golden, ends));
        let rows = &golden.inputs[..1];
        assert_eq!(run(&one, rows), run(&other, rows), "{}", golden.name);
    }
}

#[test]
fn calibrated_models_follow_the_real_ones() {
    let mut wrong = Vec::new();
    for golden in goldens(true) {
        let model = imported(&golden, Ends::ChannelsLast);
        let end = &model.outputs[0];
        let (mut error, mut count, mut agree) = (0.0, 0, 0);
        let best = |row: &[f32]| {
            let ranked = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            ranked.map(|(index, _)| index)
        };
        for (found, expected) in run(&model, &golden.inputs).iter().zip(&golden.outputs) {
            let real = |&q: &i8| (i32::from(q) - end.zero_point) as f32 * end.scale;
            let found: Vec<f32> = found.iter().map(real).collect();
            for (found, expected) in found.iter().zip(expected) {
                error += f64::from((found - expected).abs() / end.scale);
                count += 1;
            }
            agree += usize::from(best(&found) == best(expected));
        }
        let mean = error / count as f64;
        let rows = golden.inputs.len();
        println!(
            "{}: {mean:.2} steps off, {agree} of {rows} agree",
            golden.name
        );
        // Where two outputs are nearly the same, either may be the greatest.
        if mean > 1.0 || 3 * agree < 2 * rows && agree + 1 < rows {
            wrong.push((golden.name.clone(), mean, agree));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
