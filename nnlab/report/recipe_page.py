"""stub"""
def write_report(folder, content): pass
