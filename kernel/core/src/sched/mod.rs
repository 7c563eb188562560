//! Scheduling.
/// Run queues and deadlines.
pub struct Scheduler;
