//! A device made of messages, and a small trained run.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::Path;

use edge_sync::frame::{self, Decoder, MAX_FRAME, RECEIVE_BUFFER};
use edge_sync::message::{
    Ack, Hello, Message, Policy, Reason, RecordItem, RecordsHeader, UpdateState, UpdateStatus,
};
use edge_sync::{MAX_MESSAGE, Record};
use fleet::{Fleet, FleetConfig};
use host_trainer::dataset::{Dataset, Row, Split};
use host_trainer::recipe::Recipe;
use host_trainer::run::Run;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub const DEVICE: u64 = 0xFFFF_0000_0000_0007;

pub fn config() -> FleetConfig {
    FleetConfig {
        signing_key: [7; 32],
        policy: Policy::default(),
    }
}

pub fn host_id() -> u32 {
    edge_compiler::Target::host().hardware_id
}

/// A fleet in `dir` that knows [`DEVICE`].
pub async fn fleet_in(dir: &Path) -> Fleet {
    let mut fleet = open(dir).await;
    fleet.enrol(DEVICE, host_id(), "host").await.unwrap();
    fleet
}

/// The fleet in `dir`, as it was left.
pub async fn open(dir: &Path) -> Fleet {
    Fleet::open(&dir.join("fleet.db"), config()).await.unwrap()
}

fn framed(messages: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; MAX_FRAME];
    let len = frame::encode(messages, &mut frame).unwrap();
    frame.truncate(len);
    frame
}

pub fn message(message: &Message<'_>) -> Vec<u8> {
    let mut bytes = [0; MAX_MESSAGE];
    let len = message.encode(&mut bytes).unwrap();
    framed(&bytes[..len])
}

pub fn hello(version: u32, hash: [u8; 32], trial: bool) -> Vec<u8> {
    message(&Message::Hello(Hello {
        device_id: DEVICE,
        epoch: 1,
        hardware_id: host_id(),
        firmware_version: 1,
        kernel_set: u32::MAX,
        model_version: version,
        model_hash: hash,
        trial,
    }))
}

pub fn update(version: u32, state: UpdateState) -> Vec<u8> {
    message(&Message::UpdateStatus(UpdateStatus {
        version,
        state,
        reason: Reason::None,
    }))
}

/// A frame with records of epoch 1 as (sequence, bytes).
pub fn records(items: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let header = RecordsHeader {
        epoch: 1,
        stream: 0,
        base: 0,
        count: items.len() as u8,
    };
    let mut body = postcard::to_stdvec(&header).unwrap();
    for (sequence, bytes) in items {
        let item = RecordItem {
            sequence: *sequence,
            bytes,
        };
        body.extend(postcard::to_stdvec(&item).unwrap());
    }
    let mut payload = vec![0x02, 1];
    payload.extend((body.len() as u16).to_le_bytes());
    payload.extend(body);
    framed(&payload)
}

pub fn encoded(record: &Record<'_>) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let len = record.encode(&mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

pub fn inference(window: u32) -> Vec<u8> {
    encoded(&Record::Inference {
        window,
        model: 1,
        class: 0,
        confidence: 200,
        novelty: 0,
    })
}

pub fn sample(window: u32, class: u8, score: u16, samples: &[f32]) -> Vec<u8> {
    let samples: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
    encoded(&Record::Sample {
        window,
        model: 1,
        class,
        confidence: 100,
        score,
        samples: &samples,
    })
}

/// All acknowledgements that the fleet has for the device now.
pub fn acks(fleet: &mut Fleet, now_ms: u64) -> Vec<Ack> {
    let mut decoder = Decoder::new([0; RECEIVE_BUFFER]);
    let mut acks = Vec::new();
    while let Some(frame) = fleet.poll_transmit(DEVICE, now_ms).unwrap() {
        for byte in frame {
            let Some(mut payload) = decoder.push(byte) else {
                continue;
            };
            while let Some(message) = Message::decode(&mut payload) {
                if let Ok(Message::Ack(ack)) = message {
                    acks.push(ack);
                }
            }
        }
    }
    acks
}

pub const WINDOW: usize = 16;
pub const CLASSES: usize = 3;

/// A window of `class`: each class has its own raised third; `shift` moves all of it.
pub fn window(class: usize, shift: f32, rng: &mut ChaCha8Rng) -> Vec<f32> {
    (0..WINDOW)
        .map(|i| {
            let noise: f32 = (0..4).map(|_| rng.random_range(-0.5f32..0.5)).sum();
            noise + shift + if i % CLASSES == class { 2.0 } else { 0.0 }
        })
        .collect()
}

pub fn data() -> Split {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let rows = (0..240).map(|i| {
        Row::new(
            window(i % CLASSES, 0.0, &mut rng),
            (i % CLASSES) as u16,
            (i / 24) as u32,
        )
    });
    let data = Dataset {
        window: WINDOW,
        labels: ["still", "slow", "fast"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
        ..Dataset::default()
    };
    data.split_by_group(0.2, 0.2, 1).unwrap()
}

pub fn run(data: &Split) -> Run {
    let mut recipe = Recipe::gas_drift();
    recipe.training.epochs = 8;
    recipe.retraining.steps = 150;
    host_trainer::train::train(&recipe, data, None, 1, &mut |_| {}).unwrap()
}
