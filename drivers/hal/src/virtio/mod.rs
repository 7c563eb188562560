//! Virtio 1.x over PCI, modern devices only: rings and transport, shared by
//! all virtio drivers.
//!
//! Source: OASIS "Virtual I/O Device (VIRTIO) Version 1.2".
//!
//! - [`queue`]: the split virtqueue (2.7)
//! - [`transport`]: the PCI capabilities, feature negotiation, device set-up (3.1, 4.1)

pub mod queue;
pub mod transport;
