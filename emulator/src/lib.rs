//! Runs a board binary under QEMU and talks to its serial ports.
