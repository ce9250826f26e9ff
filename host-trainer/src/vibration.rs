//! A simulated accelerometer on rotating machines, built from what a real one would feel.
//!
//! A window is the sum of
//! - the shaft: harmonics of the speed, the first of which grows with the unbalance and, as a
//!   centrifugal force does, with the square of the speed;
//! - a bearing fault: an impact each time a ball passes the damage (BPFO on the outer race, BPFI on
//!   the inner), each ringing a structural resonance; balls slip, so the period jitters, and damage
//!   on the inner race turns through the load zone once a revolution, which modulates its impacts;
//! - what every machine has: a second resonance excited by flow noise, stray shocks that have
//!   nothing to do with the bearing (they spoil kurtosis as an indicator), sensor noise.
//!
//! Machines differ in speed, resonances, damping, harmonics, geometry, gain and noise; windows of
//! one machine differ in speed, load, severity and phase. The mounting of the sensor is a resonant
//! low pass. Output is in g, in steps of an accelerometer with ±16 g and 16 bits.

mod thresholds;

pub use thresholds::{indicators, threshold_accuracy};

use std::f64::consts::TAU;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Row, held_out_groups};

/// Names of the classes, in the order of [`Row::label`].
pub const CLASSES: [&str; 4] = ["healthy", "unbalance", "outer_race", "inner_race"];
/// Speed of the shaft at which the machines are trained, in revolutions per second.
pub const NOMINAL_SPEED_HZ: f64 = 29.0;
/// Impacts per revolution for damage on the outer race (deep-groove ball bearing 6205).
pub const OUTER_RATIO: f64 = 3.585;
/// Impacts per revolution for damage on the inner race.
pub const INNER_RATIO: f64 = 5.415;

/// Most windows of a whole data set: 2 GB at 512 samples.
const MOST_ROWS: u64 = 1_000_000;
/// The drift test makes no reference from fewer training windows.
const LEAST_TRAINING_ROWS: u64 = 20;

/// What to simulate: the table `[data.vibration]` of a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VibrationSpec {
    /// Machines to learn from (training, validation and test together), 3..=10000.
    pub machines: u32,
    /// Windows of each machine in each class, 1..=10000.
    pub windows_per_class: u32,
    /// Samples of a window: 128, 256, 512 or 1024.
    pub window: usize,
    /// Samples per second, 1600 to 6400.
    pub sample_rate_hz: f64,
    /// Share of the machines that early stopping looks at, 0..1.
    pub validation: f64,
    /// Share of the machines held out for the test, 0..1.
    pub test: f64,
    /// What the loop's change does to the field.
    pub change: FieldConditions,
}

/// State of the field: how fast machines run and how sensors sit on them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldConditions {
    /// Speed relative to [`NOMINAL_SPEED_HZ`], 0.3..=3.
    pub speed_factor: f64,
    /// Sensitivity of the mounted sensor relative to the original one, 0.01..=100.
    pub gain: f64,
    /// Resonance of the mounting in Hz, above which it isolates the sensor; 100 Hz up to the
    /// Nyquist frequency, or 0 for a stud that is stiff over the whole range.
    pub mount_hz: f64,
    /// Height of that resonance (quality factor), 0.3..=20.
    pub mount_quality: f64,
}

impl FieldConditions {
    /// The field as it is when the first model is trained.
    pub const ORIGINAL: Self = Self {
        speed_factor: 1.0,
        gain: 1.0,
        mount_hz: 0.0,
        mount_quality: 1.0,
    };
}

impl VibrationSpec {
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let inside = |key: &'static str, value: f64, least: f64, most: f64| {
            if value >= least && value <= most {
                return Ok(());
            }
            Err((key, format!("is {value}, must be {least} to {most}")))
        };
        inside("data.vibration.machines", self.machines.into(), 3.0, 1e4)?;
        inside(
            "data.vibration.windows_per_class",
            self.windows_per_class.into(),
            1.0,
            1e4,
        )?;
        if ![128, 256, 512, 1024].contains(&self.window) {
            let problem = format!("is {}, must be 128, 256, 512 or 1024", self.window);
            return Err(("data.vibration.window", problem));
        }
        inside(
            "data.vibration.sample_rate_hz",
            self.sample_rate_hz,
            1600.0,
            6400.0,
        )?;
        inside("data.vibration.validation", self.validation, 0.01, 0.9)?;
        inside("data.vibration.test", self.test, 0.01, 0.9)?;
        if self.validation + self.test > 0.95 {
            let problem = "and `test` together must leave machines to train on".to_owned();
            return Err(("data.vibration.validation", problem));
        }
        self.check_rows()?;
        let change = &self.change;
        inside(
            "data.vibration.change.speed_factor",
            change.speed_factor,
            0.3,
            3.0,
        )?;
        inside("data.vibration.change.gain", change.gain, 0.01, 100.0)?;
        if change.mount_hz != 0.0 {
            inside(
                "data.vibration.change.mount_hz",
                change.mount_hz,
                100.0,
                self.sample_rate_hz / 2.0 - 1.0,
            )?;
        }
        inside(
            "data.vibration.change.mount_quality",
            change.mount_quality,
            0.3,
            20.0,
        )
    }

    /// Few enough rows to hold in memory, enough for the drift test.
    fn check_rows(&self) -> Result<(), (&'static str, String)> {
        let per_machine = u64::from(self.windows_per_class) * CLASSES.len() as u64;
        let all = u64::from(self.machines) * per_machine;
        let (validation, test) =
            held_out_groups(self.machines as usize, self.validation, self.test);
        let training = (self.machines as usize).saturating_sub(validation + test) as u64;
        let problem = if all > MOST_ROWS {
            format!("all machines have {all} windows, must be at most {MOST_ROWS}")
        } else if training * per_machine < LEAST_TRAINING_ROWS {
            let rows = training * per_machine;
            format!(
                "the {training} machines to train on have {rows} windows, must be at least \
                 {LEAST_TRAINING_ROWS}"
            )
        } else {
            return Ok(());
        };
        let given = format!("is {}, with which {problem}", self.windows_per_class);
        Err(("data.vibration.windows_per_class", given))
    }
}

/// One machine with its sensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// Key of the generators of all its windows.
    key: u64,
    window: usize,
    sample_rate_hz: f64,
    speed_factor: f64,
    /// Amplitudes of harmonics 1 to 6 at nominal speed and load, in g.
    harmonics: [f64; 6],
    /// Structural resonance that impacts ring: Hz, damping ratio.
    resonance: (f64, f64),
    /// Resonance that flow noise excites: Hz, damping ratio.
    background: (f64, f64),
    background_level: f64,
    noise_level: f64,
    gain: f64,
    /// Deviation of this bearing's geometry from the catalogue.
    geometry: f64,
    /// How strongly its faults show.
    unbalance: f64,
    impact: f64,
}

impl Machine {
    /// Machine `id` of the population `seed`, sampled in windows as the specification says.
    pub fn new(spec: &VibrationSpec, seed: u64, id: u32) -> Self {
        let mut rng = Noise::new(mix(seed, u64::from(id)));
        let mut harmonics = [0.0; 6];
        for (order, amplitude) in harmonics.iter_mut().enumerate() {
            *amplitude = 0.05 * rng.log_normal(0.35) / (1.0 + 0.5 * order as f64);
        }
        Self {
            key: rng.next(),
            window: spec.window,
            sample_rate_hz: spec.sample_rate_hz,
            speed_factor: 1.0 + 0.015 * rng.normal(),
            harmonics,
            resonance: (rng.between(0.20, 0.36), rng.between(0.03, 0.07)),
            background: (rng.between(0.06, 0.42), rng.between(0.04, 0.15)),
            background_level: 0.05 * rng.log_normal(0.3),
            noise_level: 0.02 * rng.log_normal(0.2),
            gain: rng.log_normal(0.45),
            geometry: 1.0 + 0.006 * rng.normal(),
            unbalance: 0.25 * rng.log_normal(0.15),
            impact: 0.38 * rng.log_normal(0.15),
        }
    }

    /// Window `number` of this machine in class `class` (index into [`CLASSES`], the last for any
    /// beyond), in g. The same arguments give the same window; other numbers give other speeds,
    /// loads, severities, phases and noise.
    pub fn window(&self, class: usize, field: &FieldConditions, number: u64) -> Vec<f32> {
        let mut rng = Noise::new(mix(self.key, number));
        let rate = self.sample_rate_hz;
        // The filters below swing in before the window starts.
        let lead = 256;
        let total = self.window + lead;

        let load = rng.between(0.7, 1.3);
        let relative = field.speed_factor
            * self.speed_factor
            * (1.0 + 0.012 * rng.normal() - 0.02 * (load - 1.0));
        let speed = NOMINAL_SPEED_HZ * relative;
        // Speed changes a little within the window.
        let ramp = 0.004 * rng.normal() * speed / (total as f64 / rate);
        let start = rng.between(0.0, 1.0);
        let revolutions = |t: f64| start + speed * t + 0.5 * ramp * t * t;

        let mut signal = vec![0.0; total];
        for (order, amplitude) in self.harmonics.iter().enumerate() {
            let mut amplitude = amplitude * rng.log_normal(0.2) * relative * load.sqrt();
            if order == 0 {
                if class == 1 {
                    amplitude += self.unbalance * rng.between(0.75, 1.5);
                }
                amplitude *= relative;
            }
            let phase = rng.between(0.0, TAU);
            for (n, value) in signal.iter_mut().enumerate() {
                let turns = revolutions(n as f64 / rate);
                *value += amplitude * (TAU * (order + 1) as f64 * turns + phase).sin();
            }
        }

        if class >= 2 {
            let inner = class > 2;
            let ratio = self.geometry * if inner { INNER_RATIO } else { OUTER_RATIO };
            let severity = self.impact * rng.between(0.75, 1.5) * load * relative;
            let mut passed = rng.between(0.0, 1.0);
            // Impacts come at whole numbers of passed balls, each a little early or late.
            let mut t = 0.0;
            while t < total as f64 / rate {
                let zone = if inner {
                    0.25 + 1.25 * (TAU * revolutions(t)).cos().max(0.0)
                } else {
                    1.0
                };
                let strength = severity * zone * rng.log_normal(0.15);
                self.ring(&mut signal, t, strength, self.resonance);
                passed += 1.0 + 0.012 * rng.normal();
                t = (passed / ratio) / speed;
            }
        }
        // Stray shocks: valves, tools, a loose cover.
        if rng.between(0.0, 1.0) < 0.5 {
            let count = 1 + (rng.between(0.0, 1.0) * 4.0) as usize;
            for _ in 0..count {
                let at = rng.between(0.0, total as f64 / rate);
                let strength = rng.between(0.2, 1.0) * load;
                self.ring(&mut signal, at, strength, self.resonance);
            }
        }

        let mut flow = Biquad::band_pass(self.background.0, 0.5 / self.background.1);
        let level = self.background_level * load * (0.5 / self.background.1).sqrt();
        let mut mount = (field.mount_hz > 0.0)
            .then(|| Biquad::low_pass(field.mount_hz / rate, field.mount_quality));
        for value in &mut signal {
            *value += level * flow.step(rng.normal());
            if let Some(mount) = &mut mount {
                *value = mount.step(*value);
            }
        }
        let gain = self.gain * field.gain;
        signal[lead..]
            .iter()
            .map(|value| {
                let g = gain * value + self.noise_level * rng.normal();
                ((g * 2048.0).round().clamp(-32768.0, 32767.0) / 2048.0) as f32
            })
            .collect()
    }

    /// Adds a damped oscillation that starts at `t` seconds.
    fn ring(&self, signal: &mut [f64], t: f64, strength: f64, (frequency, damping): (f64, f64)) {
        let position = t * self.sample_rate_hz;
        let first = position.ceil();
        let decay = damping * TAU * frequency;
        let Some(tail) = signal.get_mut(first.max(0.0) as usize..) else {
            return;
        };
        for (n, value) in tail.iter_mut().enumerate() {
            let since = first - position + n as f64;
            let envelope = (-decay * since).exp();
            if envelope < 1e-3 {
                break;
            }
            *value += strength * envelope * (TAU * frequency * since).sin();
        }
    }
}

/// All machines and classes of the specification in the original field; the group of a row is its
/// machine. The same arguments give the same rows.
pub fn generate(spec: &VibrationSpec, seed: u64) -> Dataset {
    let mut rows = Vec::new();
    for id in 0..spec.machines {
        let machine = Machine::new(spec, seed, id);
        for class in 0..CLASSES.len() {
            for n in 0..spec.windows_per_class {
                let number = (class as u64) << 32 | u64::from(n);
                let samples = machine.window(class, &FieldConditions::ORIGINAL, number);
                rows.push(Row::new(samples, class as u16, id));
            }
        }
    }
    Dataset {
        window: spec.window,
        labels: CLASSES.map(str::to_owned).to_vec(),
        rows,
        ..Dataset::default()
    }
}

/// Second-order filter, transposed direct form.
struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
    state: [f64; 2],
}

impl Biquad {
    /// Resonant low pass of unit gain at 0; `frequency` relative to the sample rate.
    fn low_pass(frequency: f64, quality: f64) -> Self {
        let (sin, cos) = (TAU * frequency).sin_cos();
        let alpha = sin / (2.0 * quality);
        let a0 = 1.0 + alpha;
        Self {
            b: [
                (1.0 - cos) / 2.0 / a0,
                (1.0 - cos) / a0,
                (1.0 - cos) / 2.0 / a0,
            ],
            a: [-2.0 * cos / a0, (1.0 - alpha) / a0],
            state: [0.0; 2],
        }
    }

    /// Band pass of unit gain at its centre.
    fn band_pass(frequency: f64, quality: f64) -> Self {
        let (sin, cos) = (TAU * frequency).sin_cos();
        let alpha = sin / (2.0 * quality);
        let a0 = 1.0 + alpha;
        Self {
            b: [alpha / a0, 0.0, -alpha / a0],
            a: [-2.0 * cos / a0, (1.0 - alpha) / a0],
            state: [0.0; 2],
        }
    }

    fn step(&mut self, x: f64) -> f64 {
        let y = self.b[0] * x + self.state[0];
        self.state[0] = self.b[1] * x - self.a[0] * y + self.state[1];
        self.state[1] = self.b[2] * x - self.a[1] * y;
        y
    }
}

/// Seeded random numbers of the shapes that a machine needs.
struct Noise(ChaCha8Rng);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Evenly from `least` to `most`.
    fn between(&mut self, least: f64, most: f64) -> f64 {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        least + (most - least) * unit
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.between(0.0, 1.0)).ln()).sqrt();
        radius * self.between(0.0, TAU).cos()
    }

    /// `exp` of a normal with mean 0 and this deviation.
    fn log_normal(&mut self, deviation: f64) -> f64 {
        (deviation * self.normal()).exp()
    }
}

/// Two numbers made one seed, so that neighbours have nothing in common (SplitMix64's finaliser).
pub fn mix(a: u64, b: u64) -> u64 {
    let mut x = a
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(b)
        .wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
#[path = "vibration_tests.rs"]
mod tests;
