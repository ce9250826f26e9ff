//! The Bosch BMI160 over I2C: one axis of acceleration, in g, at 100 to 1600 samples a second.
//!
//! The `bmi160` crate drives the chip. It has no call for the output data rate, so that one
//! register is written here, before the bus is handed to it. Gravity and offsets stay in the
//! samples: the feature pipeline removes the mean, on the host exactly as here.
//!
//! A window must be evenly sampled. The chip stamps every sample with its own clock, so a gap
//! (the caller came too late and a sample was overwritten) is seen, counted, and the window starts
//! again with the sample after the gap.

use crate::Sensor;
use bmi160::interface::I2cInterface;
use bmi160::{AccelerometerPowerMode, Bmi160, SensorSelector};
use embedded_hal::{delay::DelayNs, i2c::I2c};

pub use bmi160::{AccelerometerRange, SlaveAddr};

#[cfg(test)]
mod tests;

/// Register `ACC_CONF`: output data rate and filter.
const ACC_CONF: u8 = 0x40;
/// Filter setting "normal": the bandwidth belonging to the data rate, no undersampling.
const FILTER_NORMAL: u8 = 0b010 << 4;
/// What register 0 of a BMI160 reads.
const CHIP_ID: u8 = 0xD1;
/// The longest start-up of the accelerometer, suspend to normal, in microseconds.
const START_UP_US: u32 = 3_800;
/// Pause between two writes to a suspended chip, in microseconds.
const WRITE_PAUSE_US: u32 = 450;
/// The chip's clock counts 24 bits of 39.0625 us, 25600 a second.
const CLOCK_MASK: u32 = 0x00FF_FFFF;

/// Axis of the sensor, as printed in its data sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Along the package.
    X,
    /// Across the package.
    Y,
    /// Out of the package.
    Z,
}

/// Samples a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// 100 Hz.
    Hz100,
    /// 200 Hz.
    Hz200,
    /// 400 Hz.
    Hz400,
    /// 800 Hz.
    Hz800,
    /// 1600 Hz. Each sample costs about 0.35 ms of a 400 kHz bus.
    Hz1600,
}

impl Rate {
    /// `acc_odr` of the data sheet: 100 Hz is 8, each step doubles.
    const fn code(self) -> u8 {
        match self {
            Self::Hz100 => 8,
            Self::Hz200 => 9,
            Self::Hz400 => 10,
            Self::Hz800 => 11,
            Self::Hz1600 => 12,
        }
    }

    /// Ticks of the chip's clock from one sample to the next.
    const fn ticks(self) -> u32 {
        match self {
            Self::Hz100 => 256,
            Self::Hz200 => 128,
            Self::Hz400 => 64,
            Self::Hz800 => 32,
            Self::Hz1600 => 16,
        }
    }
}

/// How the chip is set up.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// I2C address: the level of the chip's SDO pin.
    pub address: SlaveAddr,
    /// Full scale; beyond it samples saturate.
    pub range: AccelerometerRange,
    /// Samples a second; must be the rate that the model was trained at.
    pub rate: Rate,
    /// The axis that is sampled.
    pub axis: Axis,
}

/// Why the accelerometer could not be set up or read.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccelerometerError<E> {
    /// The bus failed.
    Bus(E),
    /// Another chip answered, with this identity instead of 0xD1.
    WrongChip(u8),
    /// The driver refused its arguments or sent no acceleration.
    Driver,
}

impl<E> From<bmi160::Error<E>> for AccelerometerError<E> {
    fn from(error: bmi160::Error<E>) -> Self {
        match error {
            bmi160::Error::Comm(error) => Self::Bus(error),
            bmi160::Error::InvalidInputData => Self::Driver,
        }
    }
}

/// A BMI160 that fills windows with one axis of acceleration in g.
#[derive(Debug)]
pub struct Accelerometer<I> {
    chip: Bmi160<I2cInterface<I>>,
    axis: Axis,
    /// Ticks from one sample to the next.
    period: u32,
    /// Samples of the window in progress.
    filled: usize,
    /// Clock of the newest of them.
    last: u32,
    gaps: u32,
}

impl<I: I2c> Accelerometer<I> {
    /// Sets the chip up and starts it; takes about 5 ms, waited out on `delay`.
    ///
    /// # Errors
    /// [`AccelerometerError::WrongChip`] where the address belongs to something else, otherwise
    /// the bus's error.
    pub fn new(
        i2c: I,
        config: Config,
        delay: &mut impl DelayNs,
    ) -> Result<Self, AccelerometerError<I::Error>> {
        let mut chip = Bmi160::new_with_i2c(i2c, config.address);
        let id = chip.chip_id()?;
        if id != CHIP_ID {
            return Err(AccelerometerError::WrongChip(id));
        }
        let mut i2c = chip.destroy();
        let conf = [ACC_CONF, FILTER_NORMAL | config.rate.code()];
        i2c.write(config.address.addr(), &conf)
            .map_err(AccelerometerError::Bus)?;
        delay.delay_us(WRITE_PAUSE_US);
        let mut chip = Bmi160::new_with_i2c(i2c, config.address);
        chip.set_accel_range(config.range)?;
        delay.delay_us(WRITE_PAUSE_US);
        chip.set_accel_power_mode(AccelerometerPowerMode::Normal)?;
        delay.delay_us(START_UP_US);
        Ok(Self {
            chip,
            axis: config.axis,
            period: config.rate.ticks(),
            filled: 0,
            last: 0,
            gaps: 0,
        })
    }

    /// Windows begun again because samples were missed: above zero, the caller polls too rarely
    /// for the rate.
    pub fn gaps(&self) -> u32 {
        self.gaps
    }

    /// Gives the bus back; the chip keeps running.
    pub fn release(self) -> I {
        self.chip.destroy()
    }

    /// One sample and its clock, if there is a new one.
    fn sample(&mut self) -> Result<Option<(f32, u32)>, AccelerometerError<I::Error>> {
        if !self.chip.status()?.accel_data_ready {
            return Ok(None);
        }
        // One burst, so that value and clock belong together.
        let data = self
            .chip
            .data_scaled(SensorSelector::new().accel().time())?;
        let (Some(accel), Some(clock)) = (data.accel, data.time) else {
            return Err(AccelerometerError::Driver);
        };
        let value = match self.axis {
            Axis::X => accel.x,
            Axis::Y => accel.y,
            Axis::Z => accel.z,
        };
        Ok(Some((value, clock)))
    }
}

impl<I: I2c> Sensor for Accelerometer<I> {
    type Error = AccelerometerError<I::Error>;

    fn read(&mut self, window: &mut [f32]) -> Result<bool, Self::Error> {
        loop {
            let (value, clock) = match self.sample() {
                Ok(Some(sample)) => sample,
                Ok(None) => return Ok(false),
                Err(error) => {
                    self.filled = 0;
                    return Err(error);
                }
            };
            // The clock runs on until the sample is read: a caller that is late by less than half a
            // period is on time, later than that a sample may be missing.
            let since = clock.wrapping_sub(self.last) & CLOCK_MASK;
            if self.filled > 0 && 2 * since > 3 * self.period {
                self.gaps = self.gaps.saturating_add(1);
                self.filled = 0;
            }
            self.last = clock;
            if let Some(place) = window.get_mut(self.filled) {
                *place = value;
                self.filled += 1;
            }
            if self.filled >= window.len() {
                self.filled = 0;
                return Ok(true);
            }
        }
    }
}
