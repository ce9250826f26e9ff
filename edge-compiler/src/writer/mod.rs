//! From a package to the bytes of an image.

mod operators;
mod recurrent;
mod sections;

use edge_runtime::format::{
    self, ALIGNMENT, HASH_OFFSET, Header, SelfTestRecord, TensorRecord, element, storage,
};
use edge_runtime::{Model, Session, image_hash, self_test};
use zerocopy::{FromZeros, IntoBytes};

use crate::aligned::AlignedBytes;
use crate::error::CompileError;
use crate::graph::{Graph, Role};
use crate::layer;
use crate::pack::Constants;
use crate::package::{Package, PackageError};
use crate::plan::{self, MemoryPlan};
use crate::proofs;
use crate::select::{self, Optimize};
use crate::target::Target;
use operators::weights_alignment;

/// What a self-test feeds the model with; any number but zero would do.
const SELF_TEST_SEED: u32 = 0x6475_6e6c;
/// Inferences of a self-test: several, because one random input may saturate the output.
const SELF_TEST_ROUNDS: u32 = 4;

/// An image and what is known about it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The finished image; it loads and passes its self-test.
    pub image: AlignedBytes,
    /// The graph as it was compiled, after the passes.
    pub graph: Graph,
    /// Where its tensors lie.
    pub plan: MemoryPlan,
    /// Multiply-accumulate operations of one inference.
    pub macs: u32,
}

/// How to compile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What kernels are chosen for.
    pub optimize: Optimize,
    /// Whether every operator of the package stays as it is, so that a trace shows the output of
    /// each.
    pub unfused: bool,
}

/// Compiles a package for a target. The same package and target always give the same bytes.
///
/// # Errors
/// [`CompileError`]; nothing is left behind.
pub fn compile(package: &Package, target: &Target) -> Result<Compiled, CompileError> {
    compile_with(package, target, Options::default())
}

/// As [`compile`], with a say in how.
///
/// # Errors
/// [`CompileError`]; nothing is left behind.
pub fn compile_with(
    package: &Package,
    target: &Target,
    options: Options,
) -> Result<Compiled, CompileError> {
    package.check()?;
    let graph = if options.unfused {
        package.graph.clone()
    } else {
        crate::passes::all(
            package.graph.clone(),
            select::InstructionSet::of(target).granule(),
        )
    };
    graph.check().map_err(PackageError::from)?;
    let layers = layer::layers(&graph)?;
    let kernels = select::select(&graph, &layers, target, options.optimize);
    let scratch: Vec<usize> = kernels.iter().map(|kernel| kernel.scratch).collect();
    let plan = plan::plan(&graph, &scratch);
    proofs::ram(&graph, &plan, target)?;

    narrow("steps of work", graph.work())?;
    let mut constants = Constants::default();
    let operators = operators::records(&mut operators::Writer {
        graph: &graph,
        plan: &plan,
        layers: &layers,
        kernels: &kernels,
        constants: &mut constants,
    })?;
    let macs = narrow("multiply-accumulate operations", graph.macs())?;
    let further: Vec<u16> = [&graph.further_inputs[..], &graph.further_outputs]
        .concat()
        .iter()
        .map(|&tensor| tensor as u16)
        .collect();
    let further_at = if further.is_empty() {
        0
    } else {
        constants.push(further.as_bytes(), 4)
    };
    let header = Header {
        magic: format::MAGIC,
        format_major: format::FORMAT_MAJOR,
        format_minor: format::FORMAT_MINOR,
        graph_hash: package.graph.hash(),
        kernel_set: operators.iter().fold(0, |set, o| {
            set | format::kernel_set::bits(o.opcode, o.packing)
        }),
        arena_bytes: narrow("bytes of arena", plan.arena_bytes as u64)?,
        stack_bytes: proofs::STACK_BYTES,
        macs,
        input: graph.input as u16,
        output: graph.output as u16,
        further: narrow("bytes of constants", further_at as u64)?,
        further_inputs: graph.further_inputs.len() as u16,
        further_outputs: graph.further_outputs.len() as u16,
        ..Header::new_zeroed()
    };
    let tensors = tensors(&graph, &plan, &mut constants)?;
    let labels: String = package
        .labels
        .iter()
        .flat_map(|label| [label, "\n"])
        .collect();
    let self_test = SelfTestRecord {
        seed: SELF_TEST_SEED,
        rounds: SELF_TEST_ROUNDS,
        reserved: [0; 2],
        expected: [0; 32],
    };
    let alignments = operators.iter().map(|o| weights_alignment(o.packing));
    let constants_alignment = alignments.max().unwrap_or(ALIGNMENT);
    let parts = sections::Parts {
        tensors: tensors.as_bytes(),
        operators: operators.as_bytes(),
        constants: &constants.finish(),
        constants_alignment,
        features: &sections::features(&package.features)?,
        labels: labels.as_bytes(),
        drift: &sections::drift(&package.drift)?,
        self_test: self_test.as_bytes(),
        metadata: package.metadata.as_bytes(),
    };
    // Before the bytes are laid out: offsets have 32 bits, a slot never more.
    proofs::flash(&graph, parts.image_len(), target)?;
    let mut image = parts.join(header)?;
    fill_self_test(&mut image)?;
    Ok(Compiled {
        image,
        graph,
        plan,
        macs,
    })
}

fn narrow(what: &'static str, found: u64) -> Result<u32, CompileError> {
    u32::try_from(found).map_err(|_| CompileError::TooLarge { what, found })
}

fn tensors(
    graph: &Graph,
    plan: &MemoryPlan,
    constants: &mut Constants,
) -> Result<Vec<TensorRecord>, CompileError> {
    let mut records = Vec::with_capacity(graph.tensors.len());
    for (tensor, &offset) in graph.tensors.iter().zip(&plan.offsets) {
        let (storage, offset) = match &tensor.role {
            Role::Activation => (storage::ARENA, offset),
            Role::State { .. } => (storage::STATE, offset),
            Role::Constant(values) => {
                let start = constants.push(values.as_bytes(), ALIGNMENT);
                (storage::CONSTANT, start)
            }
        };
        records.push(TensorRecord {
            // `Graph::check` keeps dimensions within 16 bits.
            shape: tensor.shape.map(|d| d as u16),
            arena_offset: narrow("bytes of arena", offset as u64)?,
            len: narrow("elements in a tensor", tensor.len() as u64)?,
            scale: tensor.scale,
            zero_point: tensor.zero_point,
            element: match tensor.role {
                Role::State { wide: true } => element::I16,
                _ => element::I8,
            },
            storage,
        });
    }
    Ok(records)
}

/// Runs the finished image as a device would, puts the hash of its outputs in its place, and seals
/// it again.
fn fill_self_test(image: &mut AlignedBytes) -> Result<(), CompileError> {
    seal(image);
    let model = Model::load(image).map_err(CompileError::Refused)?;
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let record = SelfTestRecord {
        expected: self_test_digest(&model, &mut arena),
        ..model.self_test()
    };
    let start = model.header().self_test.offset as usize;
    image[start..start + size_of::<SelfTestRecord>()].copy_from_slice(record.as_bytes());
    seal(image);
    Model::load(image)
        .map_err(CompileError::Refused)
        .map(|_| ())
}

fn self_test_digest(model: &Model<'_>, arena: &mut AlignedBytes) -> [u8; 32] {
    let record = model.self_test();
    match Session::new(model, arena.as_i8_mut()) {
        Ok(mut session) => self_test::digest(&mut session, record.seed, record.rounds),
        // The arena has the size and alignment that the model asked for.
        Err(error) => unreachable!("{error}"),
    }
}

/// Writes the hash of a finished image into its header.
fn seal(image: &mut AlignedBytes) {
    if let Some(hash) = image_hash(image) {
        image[HASH_OFFSET..HASH_OFFSET + hash.len()].copy_from_slice(&hash);
    }
}
