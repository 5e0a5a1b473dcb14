//! The server from outside: real HTTP and gRPC over SQLite.

mod it {
    mod accept;
    mod agents;
    mod callers;
    mod documents;
    mod inputs;
    mod lifecycle;
    mod pages;
    mod refusals;
    mod streams;
    mod support;
}
