//! Storages that do what a test says: one that fails at a given operation, one that meddles, one that locks objects.

mod faulty;
mod locking;
mod meddling;

pub use faulty::{Fault, FaultKind, Faulty, Operation};
pub use locking::Locking;
pub use meddling::{Meddle, Meddling};
