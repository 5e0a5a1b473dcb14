//! The server from outside: real HTTP and gRPC over SQLite.

mod it {
    mod accept;
    mod agents;
    mod callers;
    mod dispatch;
    mod documents;
    mod inputs;
    mod lifecycle;
    mod original;
    mod pages;
    mod readers;
    mod refusals;
    mod retention;
    mod schedules;
    mod streams;
    mod support;
}
