//! Tests of authority, through the calls that user code makes.

mod badges;
mod capabilities;
mod processes;
mod quotas;
