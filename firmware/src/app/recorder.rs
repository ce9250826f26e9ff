//! The way into the log: what it has no room for is counted, and the count is logged later.

use edge_sync::log::LogError;
use edge_sync::record::Event;
use edge_sync::{Log, Record};
use embedded_storage::nor_flash::NorFlash;
use zerocopy::IntoBytes;

#[derive(Debug)]
pub struct Recorder<'a, L> {
    pub log: Log<L>,
    buffer: &'a mut [u8],
    /// Records dropped since the last event that said so.
    unreported: u32,
    /// Records dropped since boot.
    pub dropped: u32,
    /// Of these, because the flash failed.
    pub flash_faults: u32,
}

impl<'a, L: NorFlash> Recorder<'a, L> {
    pub fn new(log: Log<L>, buffer: &'a mut [u8]) -> Self {
        Self {
            log,
            buffer,
            unreported: 0,
            dropped: 0,
            flash_faults: 0,
        }
    }

    /// Most bytes that a record may have.
    fn max_record(&self) -> usize {
        self.log.max_record().min(self.buffer.len())
    }

    /// Logs a record; where that fails it is counted as dropped.
    pub fn record(&mut self, record: &Record<'_>) {
        if !self.try_record(record) {
            self.dropped = self.dropped.saturating_add(1);
            self.unreported = self.unreported.saturating_add(1);
        }
    }

    /// Logs a record and says whether it is in the log; if not, nothing is counted. What was
    /// dropped before is reported first, so that the gap shows where it is.
    pub fn try_record(&mut self, record: &Record<'_>) -> bool {
        if self.unreported > 0 {
            let records = self.unreported;
            if !self.append(&Record::Event(Event::Dropped { records })) {
                return false;
            }
            self.unreported = 0;
        }
        self.append(record)
    }

    fn append(&mut self, record: &Record<'_>) -> bool {
        let Ok(len) = record.encode(self.buffer) else {
            return false;
        };
        let bytes = self.buffer.get(..len).unwrap_or_default();
        let result = self.log.append(bytes);
        if let Err(LogError::Flash(_)) = result {
            self.flash_faults = self.flash_faults.saturating_add(1);
        }
        result.is_ok()
    }

    /// Logs the monitor's counts in as many records as they need. `false` where nothing was logged:
    /// there are no windows, or no room for the first record.
    pub fn statistics(&mut self, counts: &[u16], model: u32) -> bool {
        /// Longest encoding of a statistics record without its counts.
        const HEADER: usize = 2 + 5 + 5 + 3 + 3 + 3;
        let windows = counts.last().copied().unwrap_or(0);
        if windows == 0 {
            return false;
        }
        let total = u16::try_from(counts.len()).unwrap_or(u16::MAX);
        let most = (self.max_record().saturating_sub(HEADER) / 2).max(1);
        let mut offset = 0_u16;
        for chunk in counts.chunks(most) {
            let record = Record::Statistics {
                model,
                windows: u32::from(windows),
                offset,
                total,
                counts: chunk.as_bytes(),
            };
            if offset > 0 {
                self.record(&record);
            } else if !self.try_record(&record) {
                return false;
            }
            offset = offset.saturating_add(u16::try_from(chunk.len()).unwrap_or(u16::MAX));
        }
        true
    }
}
