//! banhbaoring-tests
