//! Assembles small images by hand, so that this crate is tested without the compiler.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use edge_runtime::format::*;
use edge_runtime::{Arena, Model, Session, image_hash};
use zerocopy::{FromBytes, IntoBytes};

/// The kernels that the sample needs: opcodes 1 to 6.
pub const SAMPLE_KERNELS: u32 = 0b111_1110;

/// Bytes on a 16-byte boundary.
#[derive(Clone)]
pub struct Aligned(Vec<u128>, usize);

impl Aligned {
    pub fn new(bytes: &[u8]) -> Self {
        let mut words = vec![0_u128; bytes.len().div_ceil(16)];
        words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
        Self(words, bytes.len())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0.as_bytes()[..self.1]
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0.as_mut_bytes()[..self.1]
    }

    pub fn header(&mut self) -> &mut Header {
        Header::mut_from_prefix(self.bytes_mut()).unwrap().0
    }

    pub fn section(&mut self, pick: impl Fn(&Header) -> Section) -> &mut [u8] {
        let section = pick(self.header());
        let start = section.offset as usize;
        &mut self.bytes_mut()[start..start + section.len as usize]
    }

    pub fn tensors(&mut self) -> &mut [TensorRecord] {
        <[TensorRecord]>::mut_from_bytes(self.section(|header| header.tensors)).unwrap()
    }

    pub fn operators(&mut self) -> &mut [OperatorRecord] {
        <[OperatorRecord]>::mut_from_bytes(self.section(|header| header.operators)).unwrap()
    }

    /// Gives the image a correct hash, whatever it holds.
    pub fn seal(&mut self) {
        if let Some(hash) = image_hash(self.bytes()) {
            self.bytes_mut()[16..48].copy_from_slice(&hash);
        }
    }
}

/// A reproducible stream, independent of what the crate under test does.
pub struct Lcg(pub u64);

impl Lcg {
    pub fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as u32
    }

    pub fn i8s(&mut self, count: usize) -> Vec<i8> {
        (0..count).map(|_| self.next() as i8).collect()
    }
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

/// Appends and returns the offset.
fn push(bytes: &mut Vec<u8>, more: &[u8], alignment: usize) -> u32 {
    pad(bytes, alignment);
    bytes.extend_from_slice(more);
    (bytes.len() - more.len()) as u32
}

fn tensor(shape: [u16; 3], arena_offset: u32, scale: f32, zero_point: i32) -> TensorRecord {
    let [height, width, channels] = shape;
    TensorRecord {
        shape: [1, height, width, channels],
        arena_offset,
        len: u32::from(height) * u32::from(width) * u32::from(channels),
        scale,
        zero_point,
        element: element::I8,
        storage: 0,
    }
}

fn operator(opcode: u8, input: u16, output: u16) -> OperatorRecord {
    OperatorRecord {
        opcode,
        rounding: 0,
        packing: packing::CANONICAL,
        clamp_min: -128,
        clamp_max: 127,
        reserved: [0; 3],
        inputs: [input, NO_TENSOR],
        output,
        kernel: [1, 1],
        stride: [1, 1],
        padding: [0, 0],
        dilation: [1, 1],
        state: 0,
        weights: 0,
        weights_len: 0,
        bias: 0,
        multipliers: 0,
        shifts: 0,
        scratch: 0,
        scratch_len: 0,
        parameters: [0; 5],
    }
}

/// Gives an operator random weights for `channels` outputs of `each` weights.
fn weigh(operator: &mut OperatorRecord, constants: &mut Vec<u8>, channels: usize, each: usize) {
    let mut random = Lcg(u64::from(operator.opcode) * 77 + each as u64);
    let weights = random.i8s(channels * each);
    let bias: Vec<i32> = (0..channels).map(|_| random.next() as i32 % 3000).collect();
    let multipliers: Vec<i32> = (0..channels)
        .map(|_| (1 << 30) + (random.next() >> 2) as i32)
        .collect();
    let shift = match operator.rounding {
        rounding::HIGH_32 => 0_i8,
        _ => -9,
    };
    let multipliers: Vec<i32> = match operator.rounding {
        rounding::HIGH_32 => multipliers.iter().map(|m| m >> 8).collect(),
        _ => multipliers,
    };
    operator.weights = push(constants, weights.as_bytes(), 16);
    operator.weights_len = weights.len() as u32;
    operator.bias = push(constants, bias.as_bytes(), 4);
    operator.multipliers = push(constants, multipliers.as_bytes(), 4);
    operator.shifts = push(constants, vec![shift; channels].as_bytes(), 4);
}

/// A vibration pipeline (256 samples, 64 bands), then convolution, pool, reshape, fully connected,
/// clamp and softmax: every operator, the three rounding modes, reshape and clamp in place.
pub fn sample() -> Aligned {
    let tensors = [
        tensor([8, 8, 2], 0, 0.05, -3),
        tensor([8, 8, 4], 128, 0.1, 5),
        tensor([4, 4, 4], 0, 0.1, 5),
        tensor([1, 1, 64], 0, 0.1, 5), // the pool's bytes
        tensor([1, 1, 6], 64, 0.2, 0),
        tensor([1, 1, 6], 64, 0.2, 0), // in place
        tensor([1, 1, 6], 80, 1.0 / 256.0, -128),
        tensor([1, 1, 8], 96, 0.2, 0),
    ];
    let mut constants = Vec::new();
    let mut conv = operator(opcode::CONV_2D, 0, 1);
    conv.rounding = rounding::DOUBLE;
    conv.kernel = [3, 3];
    conv.padding = [1, 1];
    conv.clamp_min = 5;
    weigh(&mut conv, &mut constants, 4, 18);
    let mut pool = operator(opcode::MAX_POOL_2D, 1, 2);
    pool.kernel = [2, 2];
    pool.stride = [2, 2];
    let reshape = operator(opcode::RESHAPE, 2, 3);
    let mut hidden = operator(opcode::FULLY_CONNECTED, 3, 7);
    hidden.rounding = rounding::HIGH_32;
    weigh(&mut hidden, &mut constants, 8, 64);
    let mut dense = operator(opcode::FULLY_CONNECTED, 7, 4);
    dense.rounding = rounding::SINGLE;
    weigh(&mut dense, &mut constants, 6, 8);
    let mut clamp = operator(opcode::CLAMP, 4, 5);
    clamp.clamp_min = -100;
    let mut softmax = operator(opcode::SOFTMAX, 5, 6);
    softmax.parameters = [1_717_986_918, 24, -124, 0, 0];
    let operators = [conv, pool, reshape, hidden, dense, clamp, softmax];

    let mut features = FeatureHeader {
        kind: feature_kind::VIBRATION,
        window: 256,
        len: 128,
        bands: 64,
        sample_rate_hz: 1600.0,
        reserved: [0; 3],
    }
    .as_bytes()
    .to_vec();
    features.extend_from_slice([-12.0_f32; 128].as_bytes());
    features.extend_from_slice([0.25_f32; 128].as_bytes());

    let mut drift = DriftHeader {
        features: 128,
        windows: 1600,
        classes: 6,
        reserved: 0,
    }
    .as_bytes()
    .to_vec();
    let mut edges = [0_i8; BINS];
    for (index, edge) in edges.iter_mut().take(15).enumerate() {
        *edge = index as i8 * 8 - 56;
    }
    for _ in 0..128 {
        drift.extend_from_slice(edges.as_bytes());
    }
    for _ in 0..128 + 1 {
        drift.extend_from_slice([100_u32; BINS].as_bytes());
    }
    drift.extend_from_slice([200_u32, 200, 300, 300, 300, 300].as_bytes());

    let self_test = SelfTestRecord {
        seed: 0x1234_5678,
        rounds: 4,
        reserved: [0; 2],
        expected: [0; 32],
    };

    let mut header = Header::read_from_bytes(&[0; size_of::<Header>()]).unwrap();
    header.magic = MAGIC;
    header.format_major = FORMAT_MAJOR;
    header.format_minor = 0;
    header.graph_hash = [7; 32];
    header.kernel_set = SAMPLE_KERNELS;
    header.arena_bytes = 384;
    header.stack_bytes = 1024;
    header.macs = 8 * 8 * 4 * 18 + 64 * 8 + 8 * 6;
    header.input = 0;
    header.output = 6;
    let mut image = vec![0; size_of::<Header>()];
    let mut put = |bytes: &[u8]| Section {
        offset: push(&mut image, bytes, ALIGNMENT),
        len: bytes.len() as u32,
    };
    header.tensors = put(tensors.as_bytes());
    header.operators = put(operators.as_bytes());
    header.constants = put(&constants);
    header.features = put(&features);
    header.labels = put(b"a\nb\nc\nd\ne\nf\n");
    header.drift = put(&drift);
    header.self_test = put(self_test.as_bytes());
    header.metadata = put(b"a sample");
    pad(&mut image, ALIGNMENT);
    header.image_len = image.len() as u32;
    image[..size_of::<Header>()].copy_from_slice(header.as_bytes());

    let mut image = Aligned::new(&image);
    image.seal();
    let mut arena = Arena::<384>::new();
    let model = Model::load(image.bytes()).expect("the sample is valid");
    let mut session = Session::new(&model, arena.as_mut_slice()).unwrap();
    let expected = edge_runtime::self_test::digest(&mut session, self_test.seed, self_test.rounds);
    image.section(|header| header.self_test)[16..].copy_from_slice(&expected);
    image.seal();
    image
}
