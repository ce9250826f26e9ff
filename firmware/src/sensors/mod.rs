//! Real sensors behind [`Sensor`](crate::Sensor), each a named feature.

#[cfg(feature = "accelerometer")]
pub mod accelerometer;
