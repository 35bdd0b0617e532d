//! Kinglet's engine.
#![no_std]
