"""What learners take home: pages → notebooks and documents."""
