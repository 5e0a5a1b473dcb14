//! What the worker does, seen from outside.

mod it {
    mod agents;
    mod guardian;
    mod proxy;
    mod sandbox;
    mod spool;
    mod worker;
    mod workspace;
}
