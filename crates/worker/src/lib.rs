//! Hostler.
