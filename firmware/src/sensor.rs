//! Where a device's raw samples come from.

/// Fills windows of raw samples.
///
/// A sensor may need several calls for one window: it then keeps what it has in the caller's
/// buffer. The caller therefore passes the same buffer, untouched, until a call returns
/// `Ok(true)`.
pub trait Sensor {
    /// What can go wrong on the way to the sensor.
    type Error: core::fmt::Debug;

    /// Goes on filling `window` (samples in the sensor's unit, oldest first; its length is the
    /// window of the running model) with what has arrived since the last call, without waiting.
    /// Returns whether the window is full; the next call then starts a new one.
    ///
    /// # Errors
    /// The sensor's own. After an error the window in progress is void and the next call starts a
    /// new one.
    fn read(&mut self, window: &mut [f32]) -> Result<bool, Self::Error>;
}

impl<S: Sensor + ?Sized> Sensor for &mut S {
    type Error = S::Error;

    fn read(&mut self, window: &mut [f32]) -> Result<bool, Self::Error> {
        (**self).read(window)
    }
}
