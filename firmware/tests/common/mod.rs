//! A small model, a device and a server that the suites share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use edge_compiler::{
    Activation, AlignedBytes, DriftSpec, FeatureSpec, Graph, Operator, OperatorKind, Package,
    RoundingMode, Target, Tensor, Weights, compile,
};
use edge_runtime::{FeatureKind, Model};
use edge_sync::manifest::{Manifest, SignedManifest, SigningKey, image_hash, sign};
use edge_sync::message::{Policy, Reason, UpdateState, UpdateStatus};
use edge_sync::server::Event;
use edge_sync::{Record, RecordKey, ServerSession};
use firmware::virtual_board::{VirtualBoard, VirtualBoardConfig};
use firmware::{DeviceConfig, FRAME_LEN};
use std::collections::BTreeMap;

/// Samples of a window, which are its features too.
pub const WINDOW: usize = 16;
/// Classes of the model.
pub const CLASSES: usize = 4;

/// An image whose model answers with the quarter of the window that has the greatest sum. Images
/// of different `variant` answer the same and have different bytes; `padding` makes them longer.
pub fn image(variant: u32, padding: usize) -> AlignedBytes {
    image_of(variant, padding, WINDOW)
}

/// [`image`] for windows of `window` samples.
pub fn image_of(variant: u32, padding: usize, window: usize) -> AlignedBytes {
    let mut values = vec![-8_i8; window * CLASSES];
    for class in 0..CLASSES {
        for sample in 0..window / CLASSES {
            values[class * window + class * window / CLASSES + sample] = 24 + variant as i8;
        }
    }
    let tensor =
        |name: &str, elements, scale| Tensor::activation(name, [1, 1, 1, elements], scale, 0);
    let graph = Graph {
        tensors: vec![tensor("in", window, 0.05), tensor("out", CLASSES, 0.1)],
        operators: vec![Operator::new(
            OperatorKind::FullyConnected {
                weights: Weights {
                    values,
                    scales: vec![0.02],
                    bias: vec![0; CLASSES],
                },
                activation: Activation::None,
                rounding: RoundingMode::High32,
            },
            0,
            1,
        )],
        input: 0,
        output: 1,
        further_inputs: Vec::new(),
        further_outputs: Vec::new(),
    };
    let package = Package {
        graph,
        features: FeatureSpec {
            kind: FeatureKind::Standardise,
            window,
            bands: 0,
            sample_rate_hz: 0.0,
            offset: vec![0.0; window],
            gain: vec![1.0; window],
        },
        labels: (0..CLASSES).map(|class| format!("class {class}")).collect(),
        drift: DriftSpec {
            edges: vec![std::array::from_fn(|i| i as i8 * 4 - 28); window],
            counts: vec![[10; 16]; window],
            confidence: [10; 16],
            classes: vec![40; CLASSES],
            windows: 160,
        },
        metadata: format!("variant {variant} {}", "x".repeat(padding)),
    };
    compile(&package, &Target::host())
        .expect("the test model compiles")
        .image
}

/// A window that the model answers with `class`, the more surely the greater `height`.
pub fn window(class: usize, height: f32) -> [f32; WINDOW] {
    std::array::from_fn(|i| {
        if i * CLASSES / WINDOW == class {
            height
        } else {
            0.0
        }
    })
}

/// Identity of the test device; [`signing_key`] is whose updates it takes.
pub fn device() -> DeviceConfig {
    DeviceConfig {
        device_id: 7,
        hardware_id: 1,
        firmware_version: 3,
        public_key: signing_key(1).verifying_key().to_bytes(),
    }
}

/// A small virtual board for the test model.
pub fn config() -> VirtualBoardConfig {
    VirtualBoardConfig {
        slot_bytes: 48 << 10,
        log_bytes: 64 << 10,
        window: 256,
        features: 256,
        arena_bytes: 4096,
        pool: 9,
        ..VirtualBoardConfig::new(device())
    }
}

/// A key that releases may be signed with.
pub fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// The manifest of an image for [`device`].
pub fn manifest(version: u32, image: &[u8]) -> Manifest {
    let model = Model::load(image).ok();
    Manifest {
        version,
        hardware_id: 1,
        image_hash: image_hash(image),
        image_len: image.len() as u32,
        block_len: 1024,
        arena_bytes: model.map_or(16, |model| model.arena_bytes() as u32),
        kernel_set: model.map_or(0, |model| model.kernel_set()),
        firmware_min: 1,
        firmware_max: 9,
    }
}

/// A server that stores what comes before it acknowledges it.
pub struct Server {
    pub session: ServerSession,
    pub records: BTreeMap<RecordKey, Vec<u8>>,
    pub statuses: Vec<UpdateStatus>,
    /// Image of the current offer.
    image: Vec<u8>,
}

impl Server {
    pub fn new(policy: Policy) -> Self {
        Self {
            session: ServerSession::new(policy),
            records: BTreeMap::new(),
            statuses: Vec::new(),
            image: Vec::new(),
        }
    }

    pub fn offer(&mut self, version: u32, image: &[u8]) {
        self.offer_signed(&signing_key(1), &manifest(version, image), image);
    }

    pub fn offer_signed(&mut self, key: &SigningKey, manifest: &Manifest, image: &[u8]) {
        let signed = sign(key, manifest);
        self.session.set_offer(Some((&signed, manifest)));
        self.image = image.to_vec();
    }

    pub fn offer_forged(&mut self, signed: &SignedManifest, manifest: &Manifest, image: &[u8]) {
        self.session.set_offer(Some((signed, manifest)));
        self.image = image.to_vec();
    }

    pub fn receive(&mut self, now: u64, bytes: &[u8]) {
        let mut keys = Vec::new();
        let (records, statuses) = (&mut self.records, &mut self.statuses);
        self.session.on_bytes(now, bytes, |event| match event {
            Event::Record { key, bytes } => {
                let first = records.entry(key).or_insert_with(|| bytes.to_vec());
                assert_eq!(first, bytes, "two records with one key");
                keys.push(key);
            }
            Event::UpdateStatus(status) => statuses.push(status),
            _ => {}
        });
        keys.into_iter().for_each(|key| self.session.committed(key));
    }

    pub fn send(&mut self, now: u64) -> Option<Vec<u8>> {
        let mut frame = vec![0; FRAME_LEN];
        let len = self
            .session
            .poll_transmit(now, &self.image, &mut frame)
            .expect("the buffer is long enough");
        frame.truncate(len);
        (len > 0).then_some(frame)
    }

    /// The records that came home, in their order.
    pub fn decoded(&self) -> impl Iterator<Item = Record<'_>> {
        let records = self.records.values();
        records.map(|bytes| Record::decode(bytes).expect("a record"))
    }

    /// What the device reported last about its updates.
    pub fn last_status(&self) -> Option<(UpdateState, Reason)> {
        self.statuses.last().map(|s| (s.state, s.reason))
    }
}

/// Carries frames both ways until neither side has anything to say, or the board's power fails.
pub fn exchange(board: &mut VirtualBoard, server: &mut Server, now: u64) {
    loop {
        let mut silent = true;
        while let Some(frame) = board.poll_link(now) {
            server.receive(now, &frame);
            silent = false;
        }
        while let Some(frame) = server.send(now) {
            board.on_link(now, &frame);
            silent = false;
        }
        if silent || !board.is_running() {
            return;
        }
    }
}

/// At most one frame each way.
pub fn exchange_one(board: &mut VirtualBoard, server: &mut Server, now: u64) {
    if let Some(frame) = board.poll_link(now) {
        server.receive(now, &frame);
    }
    if let Some(frame) = server.send(now) {
        board.on_link(now, &frame);
    }
}

/// [`exchange`] with enough time between for every retry to fall due.
pub fn sync(board: &mut VirtualBoard, server: &mut Server, now: &mut u64) {
    for _ in 0..3 {
        exchange(board, server, *now);
        *now += 20_000;
    }
}

/// One turn of a device's life: windows, link, and a reboot where it wants one. Whatever model
/// runs must be one of `whole`, and answer.
pub fn live(board: &mut VirtualBoard, server: &mut Server, now: &mut u64, whole: &[[u8; 32]]) {
    *now += 1_500;
    if !board.is_running() {
        board.reboot().expect("the board boots");
    }
    let hash = board.model_hash().expect("a model runs");
    assert!(whole.contains(&hash), "neither the old nor the new model");
    for class in 0..CLASSES {
        board.push_window(&window(class, 1.0));
        match board.step(*now) {
            Some(step) => assert_eq!(usize::from(step.class), class),
            None => assert!(!board.is_running(), "a window without an answer"),
        }
    }
    exchange(board, server, *now);
    if board.wants_reboot() {
        // A cut in the boot itself shows at the next turn.
        let _ = board.reboot();
    }
}

/// Whether this image runs and is confirmed.
pub fn is_confirmed(board: &mut VirtualBoard, hash: [u8; 32]) -> bool {
    let trial = board.with(|app| app.is_on_trial());
    board.model_hash() == Some(hash) && trial == Some(false)
}
