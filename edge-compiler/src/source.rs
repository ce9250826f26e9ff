//! Where an image comes from: what stands as JSON in the metadata of an image that was compiled from
//! another tool's model. No device reads it; reports and traces do.

use std::collections::{HashMap, HashSet};

use edge_runtime::Model;
use serde::{Deserialize, Serialize};

use crate::error::CompileError;
use crate::graph::TensorId;
use crate::import::lower::{Imported, ReferenceRounding};
use crate::passes;
use crate::select::{InstructionSet, Optimize};
use crate::target::Target;
use crate::writer::{Compiled, Options, compile_with};
use crate::{Graph, Package};

/// The origin of an image. Unknown fields are ignored, so that later versions may add some.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The model's file, without its folder.
    pub file: String,
    /// The board that it was compiled for.
    pub target: String,
    /// `speed` or `size`.
    pub optimize: String,
    /// Whose results it gives where they differ: `litert` or `tflm`.
    pub rounding: String,
    /// What changed at the model's ends, such as inputs that are int8 now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// For each operator of the image the one of the file that it stems from: its index there and
    /// its name, with the number of the output where it has several. Several operators of an image
    /// may stem from one of the file.
    pub operators: Vec<Option<(usize, String)>>,
}

/// What the caller knows of the file.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The model's file, without its folder.
    pub file: &'a str,
    /// What it was imported with.
    pub rounding: ReferenceRounding,
}

impl Source {
    /// That of an image; `None` where its metadata says nothing of this kind, as for models that
    /// were trained here.
    pub fn of(model: &Model<'_>) -> Option<Self> {
        serde_json::from_str(model.metadata()).ok()
    }

    /// The operator of the file that an operator of the image stems from: index and name.
    pub fn operator(&self, index: usize) -> Option<(usize, &str)> {
        let (index, name) = self.operators.get(index)?.as_ref()?;
        Some((*index, name))
    }

    fn new(
        imported: &Imported,
        graph: &Graph,
        origin: Origin<'_>,
        target: &Target,
        optimize: Optimize,
    ) -> Self {
        let reads = graph.operators.iter().flat_map(|operator| {
            let inputs = operator.inputs.iter();
            inputs.map(move |&input| (operator.source, input))
        });
        let reads: HashSet<(Option<usize>, TensorId)> = reads.collect();
        let mut ends: HashMap<usize, usize> = HashMap::new();
        let mut of = |operator: &crate::Operator| {
            let index = operator.source?;
            let source = imported.operators.get(index)?;
            let inside = reads.contains(&(operator.source, operator.output));
            if source.outputs.len() < 2 || inside {
                return Some((index, source.name.clone()));
            }
            let end = ends.entry(index).or_default();
            *end += 1;
            Some((index, format!("{}_{}", source.name, *end - 1)))
        };
        let operators = graph.operators.iter().map(&mut of).collect();
        Self {
            file: origin.file.into(),
            target: target.name.clone(),
            optimize: match optimize {
                Optimize::Speed => "speed",
                Optimize::Size => "size",
            }
            .into(),
            rounding: match origin.rounding {
                ReferenceRounding::Litert => "litert",
                ReferenceRounding::Tflm => "tflm",
            }
            .into(),
            notes: imported.notes.clone(),
            operators,
        }
    }
}

/// Compiles an imported model, with its [`Source`] as the image's metadata.
///
/// # Errors
/// As [`compile_with`].
pub fn compile_imported(
    imported: &Imported,
    origin: Origin<'_>,
    target: &Target,
    options: Options,
) -> Result<Compiled, CompileError> {
    let mut package = Package::bare(imported.graph.clone());
    package.check()?;
    // The operators of the image are those that the passes leave. The passes are a function of
    // graph and target alone, so the compiler will come to the same ones.
    let graph = if options.unfused {
        imported.graph.clone()
    } else {
        passes::all(imported.graph.clone(), InstructionSet::of(target).granule())
    };
    let source = Source::new(imported, &graph, origin, target, options.optimize);
    // Strings, numbers and sequences alone: nothing that JSON could not say.
    package.metadata = serde_json::to_string(&source).unwrap_or_default();
    compile_with(&package, target, options)
}
