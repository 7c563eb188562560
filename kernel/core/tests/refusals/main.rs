//! Every call refuses what its row says: tables over all calls, on the host.

mod busy;
mod first;
mod scene;
mod short;
