//! What several targets share. What must hold of it is said in the targets.

pub mod edit;
