//! banhbaoring-cluster
