"""What tests of several rooms share: data folders, servers, hand-built models and facts."""
