//! The server from outside: real HTTP and gRPC over SQLite.

mod it {
    mod accept;
    mod agents;
    mod documents;
    mod lifecycle;
    mod original;
    mod pages;
    mod readers;
    mod refusals;
    mod retention;
    mod streams;
    mod support;
}
