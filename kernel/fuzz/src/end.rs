//! Taking a world apart, whatever state it is in: everything has to be given
//! back.

use kernel_core::world::{frames, World};

/// Ends every process, stops every device, and panics unless all objects are gone and all frames are back.
pub fn end<const FAULT: u8>(w: &mut World<FAULT>, frames: u32) {
    w.kernel.machine.interrupt_every(0);
    settle(w);
    frames::check(&w.kernel, frames);
    // Who watches for fault reports, or the root account, does so for good: neither ever ends.
    let root = &w.kernel.quotas[w.kernel.root_quota()];
    root.pressure_free.set(0);
    for watch in [&w.kernel.log.watch, &root.pressure] {
        if let Some(notification) = watch.replace(None) {
            w.kernel.release(notification);
        }
    }
    let processes: Vec<_> = w.kernel.processes.iter_used().collect();
    for process in processes {
        if w.kernel.processes.is_used(process) {
            w.kill(process);
        }
    }
    settle(w);
    // Pins of the dead are held until somebody says that the device is stopped.
    let domains: Vec<_> = w.kernel.domains.iter_used().collect();
    for domain in domains {
        if w.kernel.domains.is_used(domain) {
            w.kernel.retain(domain);
            assert!(w.kernel.domain_let_go(domain), "no interrupt is pending");
            w.kernel.release(domain);
        }
    }
    settle(w);
    w.end();
    frames::check(&w.kernel, frames);
}

/// Lets all that ends in steps come to its end, whoever is to run: someone more urgent would go first.
pub fn settle<const FAULT: u8>(w: &mut World<FAULT>) {
    while w.kernel.reap_pending() {
        w.kernel.reap();
        w.check();
    }
}
