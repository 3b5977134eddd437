"""Claims: the step that every slot begins with, and what waits for people."""
