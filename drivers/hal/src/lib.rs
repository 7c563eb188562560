//! Registers, DMA memory, ports and interrupts from capabilities.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
