//! The server from outside: real HTTP and gRPC over SQLite.

mod it {
    mod accept;
    mod agents;
    mod documents;
    mod inputs;
    mod lifecycle;
    mod original;
    mod pages;
    mod refusals;
    mod streams;
    mod support;
}
