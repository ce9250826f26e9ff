//! The device application as a library: sense, infer, monitor, log, sync; generic over a board.
#![no_std]
