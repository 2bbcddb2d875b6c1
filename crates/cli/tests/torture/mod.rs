//! An application that does to its database what applications do, and remembers every state of it.

mod application;
mod dice;
mod history;

pub(crate) use application::Application;
pub(crate) use dice::Dice;
pub(crate) use history::History;
