//! Functions of one element, as tables.

use edge_compiler::prepare::Quantisation;

use crate::proto::Attributes;
use crate::source::{COMPOSED, Node, REQUANTISE, Source};

/// The operators of one activation that a table computes.
pub const NAMES: [&str; 28] = [
    "Abs",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Log",
    "Mish",
    "Neg",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Sigmoid",
    "Sign",
    "Sin",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Tanh",
    "ThresholdedRelu",
];

/// Activations or constants that a function of single elements works on; `None` for other operators.
pub fn arity(operator: &str) -> Option<usize> {
    if NAMES.contains(&operator) {
        return Some(1);
    }
    of_two(operator).map(|_| 2)
}

/// What an operator makes of one element of each operand.
pub fn of_two(operator: &str) -> Option<fn(f64, f64) -> f64> {
    Some(match operator {
        "Add" => |x, y| x + y,
        "Sub" => |x, y| x - y,
        "Mul" => |x, y| x * y,
        "Div" => |x, y| x / y,
        "Max" => f64::max,
        "Min" => f64::min,
        "Pow" => f64::powf,
        _ => return None,
    })
}

/// What a node computes of one element; `None` where it lacks constants.
pub fn function(source: &Source, node: &Node) -> Option<Box<dyn Fn(f64) -> f64>> {
    let attributes = node.attributes.as_slice();
    let parameter = |name: &str, default: f32| f64::from(attributes.float(name, default));
    Some(match node.operator.as_str() {
        REQUANTISE => Box::new(|x| x),
        COMPOSED => return crate::fuse::composed(source, &node.steps),
        "Abs" => Box::new(f64::abs),
        "Ceil" => Box::new(f64::ceil),
        "Celu" => {
            let alpha = parameter("alpha", 1.0);
            Box::new(move |x| x.max(0.0) + (alpha * (x / alpha).exp_m1()).min(0.0))
        }
        "Clip" | "Relu" => {
            let (low, high) = crate::simplify::bounds(source, node)?;
            Box::new(move |x| x.clamp(low.into(), high.into()))
        }
        "Cos" => Box::new(f64::cos),
        "Elu" => {
            let alpha = parameter("alpha", 1.0);
            Box::new(move |x| if x < 0.0 { alpha * x.exp_m1() } else { x })
        }
        "Erf" => Box::new(libm::erf),
        "Exp" => Box::new(f64::exp),
        "Floor" => Box::new(f64::floor),
        "Gelu" if attributes.text("approximate") == Some("tanh") => Box::new(|x| {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }),
        "Gelu" => Box::new(|x| 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))),
        "HardSigmoid" => {
            let (alpha, beta) = (parameter("alpha", 0.2), parameter("beta", 0.5));
            Box::new(move |x| (alpha * x + beta).clamp(0.0, 1.0))
        }
        "HardSwish" => Box::new(|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        "LeakyRelu" => {
            let alpha = parameter("alpha", 0.01);
            Box::new(move |x| if x < 0.0 { alpha * x } else { x })
        }
        "Log" => Box::new(f64::ln),
        "Mish" => Box::new(|x| x * x.exp().ln_1p().tanh()),
        "Neg" => Box::new(|x| -x),
        "Reciprocal" => Box::new(f64::recip),
        "Round" => Box::new(f64::round_ties_even),
        "Selu" => {
            let alpha = parameter("alpha", 1.673_263_2);
            let gamma = parameter("gamma", 1.050_701);
            Box::new(move |x| gamma * if x > 0.0 { x } else { alpha * x.exp_m1() })
        }
        "Sigmoid" => Box::new(|x| 1.0 / (1.0 + (-x).exp())),
        "Sign" => Box::new(|x| if x == 0.0 { 0.0 } else { x.signum() }),
        "Sin" => Box::new(f64::sin),
        "Softplus" => Box::new(|x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
        "Softsign" => Box::new(|x| x / (1.0 + x.abs())),
        "Sqrt" => Box::new(f64::sqrt),
        "Tanh" => Box::new(f64::tanh),
        "ThresholdedRelu" => {
            let alpha = parameter("alpha", 1.0);
            Box::new(move |x| if x > alpha { x } else { 0.0 })
        }
        _ => return None,
    })
}

/// A function between DequantizeLinear and QuantizeLinear: those in f32, rounding halves to even,
/// the function itself in f64 and rounded. What is not a number becomes the zero point.
pub fn table(from: Quantisation, to: Quantisation, of: impl Fn(f64) -> f64) -> [i8; 256] {
    std::array::from_fn(|index| {
        let q = index as i32 - 128;
        let real = (q - from.zero_point) as f32 * from.scale;
        let scaled = (of(f64::from(real)) as f32 / to.scale).round_ties_even();
        (scaled as i32)
            .saturating_add(to.zero_point)
            .clamp(-128, 127) as i8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_round_halves_to_even() {
        let one = Quantisation {
            scale: 1.0,
            zero_point: 0,
        };
        let two = Quantisation {
            scale: 2.0,
            zero_point: -3,
        };
        let halves = table(one, two, |x| x);
        let at = |q: i32| halves[(q + 128) as usize];
        assert_eq!((at(1), at(3), at(-1), at(-5)), (-3, -1, -3, -5));
        assert_eq!(table(one, two, |_| f64::NAN)[0], -3);
        assert_eq!(table(one, two, |_| f64::INFINITY)[0], 127);
    }
}
