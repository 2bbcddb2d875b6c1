//! Storages that do what a test says: one that fails at a given operation, one that meddles.

mod faulty;
mod meddling;

pub use faulty::{Fault, FaultKind, Faulty, Operation};
pub use meddling::{Meddle, Meddling};
