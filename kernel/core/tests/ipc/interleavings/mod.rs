//! Every order of the events in the life of one call, for each way to use what
//! it lends, against a model.
//!
//! The client calls, lending pages; the server receives, uses the lease (copies, maps, pins, or passes it on to a
//! driver that does so), and answers; in between, at every point, the call is cancelled, its deadline passes,
//! client, server or driver die, the reply object is dropped, the driver is done, the domain is released. After
//! each event the client must be where the model says, the kernel's data must hold together, and in the end
//! everything must be given back to the frame.

mod model;
mod scene;

use abi::call::Call;
use kernel_core::world::World;
use model::{Event, Model, Use, EVENTS, USES};
use scene::Scene;

/// Tries every order of events after `trail`, each from a fresh scene in the same kernel.
fn explore(w: &mut Option<World>, how: Use, trail: &mut Vec<Event>, depth: usize, count: &mut u64) {
    for event in EVENTS {
        // Some things happen once; the rest as often as the model finds it possible.
        let again = matches!(event, Event::Receive | Event::Cancel);
        if trail.contains(&event) && (!again || trail.iter().filter(|e| **e == event).count() > 1) {
            continue;
        }
        let mut model = Model::new(how);
        assert!(trail.iter().all(|e| model.apply(*e)));
        if !model.apply(event) {
            continue;
        }
        trail.push(event);
        if depth == 1 || trail.len() >= depth {
            run(w, how, trail);
            *count += 1;
        } else {
            let before = *count;
            explore(w, how, trail, depth, count);
            if *count == before {
                // Nothing can follow: a run of its own.
                run(w, how, trail);
                *count += 1;
            }
        }
        trail.pop();
    }
}

fn run(w: &mut Option<World>, how: Use, trail: &[Event]) {
    let mut scene = Scene::new(w.take().expect("one scene at a time"), how);
    let mut model = Model::new(how);
    for (n, event) in trail.iter().enumerate() {
        let before = model.clone();
        assert!(model.apply(*event));
        scene.happen(*event, &before);
        scene.compare(&model, &trail[..=n]);
    }
    // Pins in quarantine are the domain's: it is released, and then all is given back.
    let mut world = scene.p.w;
    let keeper = scene.p.keeper;
    for process in world.kernel.processes.iter_used().collect::<Vec<_>>() {
        if process != keeper {
            world.kill(process);
        }
    }
    world.ok(scene.p.k, Call::DomainRelease, &[scene.domain]);
    world.end();
    *w = Some(world);
}

fn all_orders(how: Use, depth: usize) {
    let mut world = Some(World::new());
    let mut count = 0;
    explore(&mut world, how, &mut Vec::new(), depth, &mut count);
    println!("{how:?}: {count} orders");
    assert!(count > 50);
}

/// Events in a row. `INTERLEAVINGS` asks for more.
fn depth() -> usize {
    std::env::var("INTERLEAVINGS").ok().and_then(|d| d.parse().ok()).unwrap_or(6)
}

#[test]
fn every_order_of_events_with_a_copied_lease() {
    all_orders(USES[0], depth());
}

#[test]
fn every_order_of_events_with_a_mapped_lease() {
    all_orders(USES[1], depth());
}

#[test]
fn every_order_of_events_with_a_pinned_lease() {
    all_orders(USES[2], depth());
}

#[test]
fn every_order_of_events_with_a_lease_passed_on_and_copied() {
    all_orders(USES[3], depth());
}

#[test]
fn every_order_of_events_with_a_lease_passed_on_and_mapped() {
    all_orders(USES[4], depth());
}

#[test]
fn every_order_of_events_with_a_lease_passed_on_and_pinned() {
    all_orders(USES[5], depth());
}
