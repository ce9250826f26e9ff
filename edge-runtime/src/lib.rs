//! Reads a Dunlin model image and runs it in a caller's arena; features and statistics shared by host and device.
#![no_std]
