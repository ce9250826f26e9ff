//! Dunlin's sync protocol: frames, messages, durable log and model slots as state machines without I/O.
#![no_std]
