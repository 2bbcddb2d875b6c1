//! An application that does to its database what applications do, and remembers every state of it.

mod application;
mod history;

pub(crate) use application::Application;
pub(crate) use history::History;
