//! The way into the log: what it has no room for is counted, and the count is logged later.

use edge_sync::log::LogError;
use edge_sync::record::Event;
use edge_sync::{Log, Record};
use embedded_storage::nor_flash::NorFlash;

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
    pub fn max_record(&self) -> usize {
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
}
